#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a C++ file that holds each PTX file given as an array: OUTPUT INPUT..."""

import os
import sys


def array_of(path):
    name = os.path.basename(path).replace(".", "_").upper()
    with open(path, encoding="ascii") as file:
        lines = file.read().splitlines()
    rows = ['    "%s\\n"' % line.replace("\\", "\\\\").replace('"', '\\"') for line in lines]
    return "const char %s[] =\n%s;\n" % (name, "\n".join(rows))


def main():
    output, inputs = sys.argv[1], sys.argv[2:]
    arrays = "\n".join(array_of(path) for path in inputs)
    with open(output, "w", encoding="ascii") as file:
        file.write(
            '#include "backends/cuda/kernels/texts.h"\n\nnamespace nixl::core::cuda {\n\n%s\n'
            "} // namespace nixl::core::cuda\n" % arrays
        )


if __name__ == "__main__":
    main()
