# SPDX-License-Identifier: Apache-2.0
"""Rows of measurements: what was done, the target, the figure, and whether it is met."""

import argparse
import json
import os
import statistics
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build")
KEPT = os.path.join(BUILD, "bench")  # one file per subject, from its last run


def program(*parts):
    """The path of a built program."""
    return os.path.join(BUILD, *parts)


def run_json(command, **options):
    """Runs a program and reads the JSON objects that it prints, one per line."""
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, **options)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"{")]


class Table:
    """The rows of one subject; printed as they come."""

    def __init__(self, subject, about):
        self.subject, self.about, self.rows = subject, about, []
        print("\n%s: %s" % (subject, about), flush=True)
        print("  %-58s %-22s %-34s" % ("work", "target", "figure"), flush=True)

    def row(self, work, target, figure, met=None):
        """met: whether the target is reached; None when there is none, or nothing to compare."""
        verdict = "" if met is None else "met" if met else "MISSED"
        self.rows.append({"work": work, "target": target, "figure": figure, "verdict": verdict})
        print("  %-58s %-22s %-34s %s" % (work, target, figure, verdict), flush=True)

    def save(self):
        os.makedirs(KEPT, exist_ok=True)
        kept = {"subject": self.subject, "about": self.about, "rows": self.rows,
                "date": time.strftime("%Y-%m-%d")}
        with open(os.path.join(KEPT, self.subject + ".json"), "w") as file:
            json.dump(kept, file, indent=1)

    def code(self):
        return 1 if any(row["verdict"] == "MISSED" for row in self.rows) else 0


def arguments(about):
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, to try it out")
    return parser


def median_ratio(ours, others):
    """The median of the ratios of pairs, and the interval that holds it in 95 % of all cases: the
    order statistics of the sign test (n = 15: the 4th and the 12th)."""
    ratios = sorted(a / b for a, b in zip(ours, others))
    count = len(ratios)
    below, chance = 0, 0.5 ** count
    total = chance
    while total <= 0.025 and below < count // 2:
        below += 1
        chance = chance * (count - below + 1) / below
        total += chance
    low, high = max(below - 1, 0), count - 1 - max(below - 1, 0)
    return statistics.median(ratios), ratios[low], ratios[high]


def read_json(path):
    with open(path) as file:
        return json.load(file)
