#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Host copies beside plain memcpy by one and by two threads, on the same buffers, in turn.

In several processes, since where the buffers lie in memory makes up to a tenth.
"""

import statistics
import sys

import results

PROCESSES = 7
LIMIT = 128 << 10
SHORT_EXTRA_NS = 100
SHARE = 0.95


def size_text(count):
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return "%d %s" % (count // size, unit)
    return "%d B" % count


def middle(lines, ratio):
    """The median over the processes."""
    return statistics.median(ratio(line) for line in lines)


def share_of_raw(line):
    return min(line["memcpy_ns"], line["memcpy_2_woken_ns"]) / line["nixl_ns"]


def long_rows(table, work, lines):
    ours = middle(lines, lambda line: line["nixl_ns"])
    spinning = middle(lines, lambda line: line["memcpy_2_spinning_ns"])
    shares = [share_of_raw(line) for line in lines]
    table.row(work, ">= 95 % of raw, 1 and 2", "%.0f %% of 1 thread, %.0f %% of 2 [%.0f, %.0f]" % (
        100 * middle(lines, lambda line: line["memcpy_ns"] / line["nixl_ns"]),
        100 * middle(lines, lambda line: line["memcpy_2_woken_ns"] / line["nixl_ns"]),
        100 * min(shares), 100 * max(shares)), statistics.median(shares) >= SHARE)
    table.row(work + ", against a second thread that spins", "", "%.0f %%; %.2f GB/s, raw %.2f" % (
        100 * middle(lines, lambda line: line["memcpy_2_spinning_ns"] / line["nixl_ns"]),
        lines[0]["bytes"] / ours, lines[0]["bytes"] / spinning))
    ours = middle(lines, lambda line: line["nixl_apart_ns"])
    raw = middle(lines, lambda line: line["memcpy_apart_ns"])
    table.row(work + ", 200 us after the one before", "",
              "%.0f %% of 1 thread; %.1f us, raw %.1f" % (100 * raw / ours, ours / 1e3, raw / 1e3))


def main():
    parser = results.arguments(__doc__)
    options = parser.parse_args()
    processes = 1 if options.quick else PROCESSES
    table = results.Table("copies", "host to host, against raw memcpy; median of 21 rounds in turn,"
                          " the middle of %d processes [least, most of the smaller]" % processes)
    command = [results.program("tests", "perf", "perf-copies")]
    command += [str(64 << 20)] if options.quick else []
    for lines in zip(*[results.run_json(command) for _ in range(processes)]):
        work = "copy of " + size_text(lines[0]["bytes"])
        if lines[0]["bytes"] >= LIMIT:
            long_rows(table, work, lines)
            continue
        extra = middle(lines, lambda line: line["nixl_ns"] - line["memcpy_ns"])
        raw = middle(lines, lambda line: line["memcpy_ns"])
        table.row(work, "<= raw + 100 ns", "raw + %.0f ns, raw %.0f" % (extra, raw),
                  extra <= SHORT_EXTRA_NS)
    table.save()
    return table.code()


if __name__ == "__main__":
    sys.exit(main())
