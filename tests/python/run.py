#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every test of the Python package twice, with the compiled calls and with ctypes alone.

    run.py [--hot FILE] [PATTERN]

The package is the one on PYTHONPATH; NIXL_LIBRARY names the library of a build that is not
installed and --hot the compiled calls of such a build. The last line is
`N passed, N failed, N skipped`.
"""

import argparse
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def run_here(pattern):
    """All tests in this process; prints their numbers in a form that run_all() reads."""
    sys.path[:0] = [HERE, os.path.join(HERE, "..", "support")]
    from unit_run import run_folder

    numbers = run_folder(HERE, pattern)
    print("numbers %d %d %d" % numbers)
    return 1 if numbers[1] else 0


def run_child(hot, pattern):
    """The same in a process that uses the compiled calls or not."""
    environment = dict(os.environ, NIXL_PYTHON_HOT=hot)
    process = subprocess.Popen(
        [sys.executable, os.path.abspath(__file__), "--here", pattern], stdout=subprocess.PIPE,
        universal_newlines=True, env=environment)
    numbers = [0, 1, 0]  # a process that dies is a failure
    for line in process.stdout:
        if line.startswith("numbers "):
            numbers = [int(number) for number in line.split()[1:]]
        else:
            print(line, end="")
    if process.wait() != 0 and numbers[1] == 0:
        numbers[1] = 1
    return numbers


def hot_choices(given):
    if given:
        return [os.path.abspath(given), "0"]
    probe = subprocess.run([sys.executable, "-c", "import nixl._hot"], stderr=subprocess.DEVNULL)
    if probe.returncode == 0:
        return ["1", "0"]
    print("the compiled calls are not built: ctypes alone is tested")
    return ["0"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--hot", help="the compiled calls of a build that is not installed")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("pattern", nargs="?", default="test_*.py")
    options = parser.parse_args()
    if options.here:
        return run_here(options.pattern)
    total = [0, 0, 0]
    for hot in hot_choices(options.hot):
        print("== %s" % ("ctypes alone" if hot == "0" else "compiled calls"), flush=True)
        total = [a + b for a, b in zip(total, run_child(hot, options.pattern))]
    print("%d passed, %d failed, %d skipped" % tuple(total))
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
