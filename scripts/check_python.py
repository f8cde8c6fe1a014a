#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the Python tests over an installed package, under every Python 3.8 or later on the PATH.

Each interpreter runs them twice, with the compiled calls and with ctypes alone.

Proves: S-013
"""
import os
import shutil
import subprocess
import sys
import tempfile

import tree
from staging import Staging

NAMES = ["python3"] + ["python3.%d" % minor for minor in range(8, 20)]
PROBE = "import sys; print(sys.version_info[:2] >= (3, 8), sys.prefix, sys.version_info[:2])"


def works(program, code):
    """What `code` prints there; None when it fails."""
    done = subprocess.run([program, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout.decode().strip() if done.returncode == 0 else None


def interpreters():
    """One path for every installation, those with NumPy first."""
    found = {}
    for name in NAMES + ["/usr/bin/python3"]:
        program = shutil.which(name)
        answer = works(program, PROBE) if program else None
        if answer and answer.startswith("True"):
            found.setdefault(answer, program)
        elif program and answer is None:
            print("skipped: %s does not run" % program, flush=True)
    return sorted(found.values(), key=lambda program: works(program, "import numpy") is None)


def main():
    totals = [0, 0, 0]
    with tempfile.TemporaryDirectory() as folder:
        staging = Staging("build", folder)
        package = staging.python_folder()
        if package is None:
            print("the Python package is not installed\n0 passed, 1 failed")
            return 1
        environment = dict(os.environ, PYTHONPATH=package, PYTHONDONTWRITEBYTECODE="1")
        for program in interpreters():
            print("== %s: %s" % (program, works(program, PROBE)), flush=True)
            command = [program, os.path.join("tests", "python", "run.py")]
            done = subprocess.run(
                command,
                cwd=tree.ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            text = done.stdout.decode(errors="replace")
            print(text, flush=True)
            words = text.strip().split("\n")[-1].replace(",", "").split()
            numbers = [int(word) for word in words if word.isdigit()] + [0, 0, 0]
            if done.returncode != 0 and numbers[1] == 0:
                numbers[1] = 1
            totals = [total + number for total, number in zip(totals, numbers)]
    print("%d passed, %d failed, %d skipped" % tuple(totals))
    return 1 if totals[1] else 0


if __name__ == "__main__":
    sys.exit(main())
