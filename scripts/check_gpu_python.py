#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the Python tests of GPU memory on this machine's GPUs, over an installation."""

import os
import re
import subprocess
import sys
import tempfile

import tree
from staging import installed

PATTERNS = ("test_gpu.py", "test_pool.py", "test_allocators.py", "test_frameworks.py")


def main():
    passed = failed = skipped = 0
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ, NIXL_TEST_GPU="1", PYTHONDONTWRITEBYTECODE="1",
                           PYTHONPATH=installed(folder).python_folder())
        for pattern in PATTERNS:
            done = subprocess.run(
                [sys.executable, os.path.join(tree.ROOT, "tests", "python", "run.py"), pattern],
                env=environment, stdout=subprocess.PIPE, universal_newlines=True)
            print(done.stdout, end="", flush=True)
            found = re.search(r"(\d+) passed, (\d+) failed, (\d+) skipped\n\Z", done.stdout)
            last = found.groups() if found else (0, 1, 0)  # it died
            passed, failed, skipped = (
                a + int(b) for a, b in zip((passed, failed, skipped), last))
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
