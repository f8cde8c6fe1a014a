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
        ours, one, two = (line[key] for key in ("nixl_ns", "memcpy_ns", "memcpy_2_threads_ns"))
        work = "copy of " + size_text(line["bytes"])
        if line["bytes"] < LIMIT:
            table.row(work, "<= raw + 100 ns", "%.0f ns, raw %.0f" % (ours, one),
                      ours <= one + SHORT_EXTRA_NS)
        else:
            raw = min(one, two)
            table.row(work, ">= 95 % of the better raw",
                      "%.1f %%: %.2f GB/s, raw %.2f (1), %.2f (2 threads)"
                      % (100 * raw / ours, line["bytes"] / ours, line["bytes"] / one,
                         line["bytes"] / two), raw / ours >= SHARE)
    table.save()
    return table.code()


if __name__ == "__main__":
    sys.exit(main())
