#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The data path on the backend that moves nothing: times, allocations, system calls."""

import statistics
import subprocess
import sys

import results

INSTRUCTIONS = results.program("..", "tests", "perf", "instructions.json")


def main():
    options = results.arguments(__doc__).parse_args()
    table = results.Table("hot", "one transfer on the backend that moves nothing")
    # The best of many short runs, since whatever shares the core's other half slows some of them by
    # half; the median tells how many.
    runs = [results.run_json([results.program("tests", "perf", "perf-times")])[0]
            for _ in range(3 if options.quick else 25)]
    best = {key: min(run[key] for run in runs) for key in runs[0]}
    median = statistics.median(run["post_poll_ns"] for run in runs)
    table.row("post and poll of a prepared request, fixed cost", "<= 60 ns",
              "%.1f ns (median %.1f)" % (best["post_poll_ns"], median),
              best["post_poll_ns"] <= 60)
    table.row("create, post, poll and release", "", "%.1f ns" % best["whole_ns"])
    table.row("each element of a strided run (16,384)", "<= 3 ns",
              "%.2f ns" % best["strided_element_ns"], best["strided_element_ns"] <= 3)
    table.row("each listed run (16,384, none can be merged)", "<= 7 ns",
              "%.2f ns" % best["listed_run_ns"], best["listed_run_ns"] <= 7)
    counts = subprocess.run([results.program("tests", "perf", "perf-counts")],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    table.row("allocations and system calls per transfer, by counting", "0",
              "0" if counts.returncode == 0 else "see perf-counts", counts.returncode == 0)
    for shape, count in sorted(results.read_json(INSTRUCTIONS).items()):
        table.row("instructions of %s, gated in every test run" % shape, "+- 2 %",
                  "%d" % count)
    table.save()
    return table.code()


if __name__ == "__main__":
    sys.exit(main())
