#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Host copies beside plain memcpy by one and by two threads, on the same buffers, in turn."""

import sys

import results

LIMIT = 128 << 10
SHORT_EXTRA_NS = 100
SHARE = 0.95


def size_text(count):
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return "%d %s" % (count // size, unit)
    return "%d B" % count


def main():
    parser = results.arguments(__doc__)
    options = parser.parse_args()
    table = results.Table("copies", "host to host, against raw memcpy; median of 21 rounds in turn")
    command = [results.program("tests", "perf", "perf-copies")]
    for line in results.run_json(command + ([str(64 << 20)] if options.quick else [])):
        ours, one = line["nixl_ns"], line["memcpy_ns"]
        spinning, woken = line["memcpy_2_spinning_ns"], line["memcpy_2_woken_ns"]
        work = "copy of " + size_text(line["bytes"])
        if line["bytes"] < LIMIT:
            table.row(work, "<= raw + 100 ns", "%.0f ns, raw %.0f" % (ours, one),
                      ours <= one + SHORT_EXTRA_NS)
            continue
        table.row(work, ">= 95 % of raw, 1 and 2", "%.0f %% of 1 thread, %.0f %% of 2"
                  % (100 * one / ours, 100 * woken / ours), min(one, woken) / ours >= SHARE)
        table.row(work + ", against a second thread that spins", "",
                  "%.0f %%; %.2f GB/s, raw %.2f" % (100 * spinning / ours, line["bytes"] / ours,
                                                     line["bytes"] / spinning))
        ours, one = line["nixl_apart_ns"], line["memcpy_apart_ns"]
        table.row(work + ", 200 us after the one before", "",
                  "%.0f %% of 1 thread; %.1f us, raw %.1f"
                  % (100 * one / ours, ours / 1e3, one / 1e3))
    table.save()
    return table.code()


if __name__ == "__main__":
    sys.exit(main())
