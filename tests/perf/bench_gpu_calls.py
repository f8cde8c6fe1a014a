#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What it takes a Python program to prepare and to post many blocks of GPU memory."""

import json
import os
import subprocess
import sys
import tempfile

import results

sys.path.insert(0, os.path.join(results.ROOT, "scripts"))
from staging import installed  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))


def row(table, work, limit_us, figure_us, told, is_right):
    table.row(work, "<= %g ms" % (limit_us / 1e3),
              "%.1f us%s%s" % (figure_us, told, "" if is_right else "; CONTENTS WRONG"),
              is_right and figure_us <= limit_us)


def main():
    results.arguments(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        installation = installed(folder)
        found = json.loads(subprocess.check_output(
            [installation.program("nixl-info"), "--gpus", "--json"]).decode())["gpus"]
        if not found["gpus"]:
            print("gpu_calls: nothing to measure: " + found["reason"])
            return 0
        gpu = found["gpus"][0]["name"]
        table = results.Table(
            "gpu_calls", "%d x %s; from GPU 0 to the last one, Python, medians of 21, contents "
            "compared" % (len(found["gpus"]), gpu), gpu)
        environment = dict(os.environ, PYTHONPATH=installation.python_folder())
        figures = results.run_json([results.python_with_numpy(),
                                    os.path.join(HERE, "gpu_calls.py")], env=environment)[0]
    row(table, "prepare of 65,536 descriptors from NumPy", 500, figures["prepare_us"], "",
        figures["listed_right"])
    row(table, "post of 65,536 prepared blocks by index", 300, figures["post_us"],
        "; the first %.0f with its transfer" % figures["first_post_us"], figures["listed_right"])
    row(table, "prepare and post of 6,553,600 blocks as 100 strided runs", 1000,
        figures["strided_us"], "; then moved in %.0f" % figures["strided_whole_us"],
        figures["strided_right"])
    table.save()
    return table.code()


if __name__ == "__main__":
    sys.exit(main())
