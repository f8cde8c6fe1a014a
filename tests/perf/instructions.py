#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions per transfer against the recorded budget, counted by callgrind.

The count is the same on every run of one binary, whatever the machine is doing. The budget is
gated where it was recorded (GCC 12, release, x86_64); elsewhere the counts are printed. --write
records.
Exit 0 within 2 %, 1 beyond it, 77 when it cannot be counted here.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

BUDGET = os.path.join(os.path.dirname(os.path.abspath(__file__)), "instructions.json")
SHAPES = ("post_poll", "whole", "strided", "listed")
TOLERANCE = 0.02
COUNT = 20


def instructions(program, shape, count):
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", "--toggle-collect=measured_" + shape,
                   "--callgrind-out-file=" + os.path.join(folder, "out"),
                   program, "loop", shape, str(count)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              universal_newlines=True)
    found = re.search(r"Collected : (\d+)", done.stdout)
    if done.returncode != 0 or not found:
        sys.exit("valgrind failed:\n" + done.stdout)
    return int(found.group(1))


def per_transfer(program, shape):
    """The difference of two counts, so that what happens only once is left out."""
    return (instructions(program, shape, 2 * COUNT) - instructions(program, shape, COUNT)) // COUNT


def main():
    write = "--write" in sys.argv
    program, compiler, version, buildtype, family = [a for a in sys.argv[1:] if a != "--write"][:5]
    if shutil.which("valgrind") is None:
        print("SKIP: valgrind is not installed (apt-get install valgrind)")
        return 77
    counts = {shape: per_transfer(program, shape) for shape in SHAPES}
    if write:
        with open(BUDGET, "w") as file:
            json.dump(counts, file, indent=2, sort_keys=True)
            file.write("\n")
        print("recorded", counts)
        return 0
    with open(BUDGET) as file:
        budget = json.load(file)
    gated = (compiler == "gcc" and version.startswith("12.") and buildtype == "release"
             and family == "x86_64")
    worst = 0
    for shape in SHAPES:
        change = counts[shape] / budget[shape] - 1
        verdict = "ok" if abs(change) <= TOLERANCE else "beyond 2 %" if gated else "not gated"
        print("%-10s %10d instructions, budget %10d, %+.1f %%: %s"
              % (shape, counts[shape], budget[shape], 100 * change, verdict))
        if gated and abs(change) > TOLERANCE:
            worst = 1
    if worst:
        print("a change of the hot path: show ./dev bench hot before and after in the commit, and\n"
              "record the new budget with tests/perf/instructions.py ... --write")
    return worst


if __name__ == "__main__":
    sys.exit(main())
