#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs measurements: each is a program of its own under tests/perf, named by its subject.

Builds into build/ first. Arguments after the subject go to the program.
"""
import argparse
import os
import subprocess
import sys

import tree

FOLDER = os.path.join(tree.ROOT, "tests", "perf")
PREFIX = "bench_"


def subjects():
    names = os.listdir(FOLDER) if os.path.isdir(FOLDER) else []
    return sorted(
        name[len(PREFIX):-3] for name in names if name.startswith(PREFIX) and name.endswith(".py")
    )


def main():
    parser = argparse.ArgumentParser(
        prog="./dev bench",
        description=__doc__.split("\n")[0],
        epilog="subjects: %s; without one, all of them" % (" ".join(subjects()) or "none yet"),
    )
    parser.add_argument("subject", nargs="?", help="what to measure")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="arguments of the measurement")
    arguments = parser.parse_args()
    wanted = [arguments.subject] if arguments.subject else subjects()
    unknown = [name for name in wanted if name not in subjects()]
    if unknown or not wanted:
        parser.error("no such subject; there are: " + (" ".join(subjects()) or "none yet"))
    if subprocess.run([os.path.join(tree.ROOT, "scripts", "build.sh")]).returncode != 0:
        return 1
    worst = 0
    for name in wanted:
        program = os.path.join(FOLDER, PREFIX + name + ".py")
        command = [sys.executable, program] + arguments.rest
        worst = max(worst, subprocess.run(command, cwd=tree.ROOT).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
