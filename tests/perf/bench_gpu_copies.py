#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Copies to, from and between GPUs beside the driver's own copies, in turn.

Page-locked host memory is compared with the driver's copy of the same sort. So is pageable memory,
to which the link is the limit as well; its target is the rate of eight threads that fill
page-locked chunks.
"""

import sys

import results
from bench_copies import size_text

MIB = 1 << 20
EXTRA_US = 1.0


def target_of(work, size):
    """(text, whether (ours, raw) meets it); None: no target."""
    if "beside 8 threads" in work:
        return ">= 97 % of theirs", lambda ours, raw: raw / ours >= 0.97
    if "pageable" in work:
        return None
    if "both ways" in work:
        return ">= 97 % of raw", lambda ours, raw: raw / ours >= 0.97
    # Between GPUs some 10 us go by before the first byte moves: shares of that say nothing.
    if size <= (4096 if "host" in work else 4 * MIB):
        return "<= raw + 1 us", lambda ours, raw: ours <= raw + EXTRA_US
    share = 0.99 if size >= 4 * MIB else 0.97 if size >= MIB else None
    if share is None:
        return None
    return ">= %.0f %% of raw" % (100 * share), lambda ours, raw: raw / ours >= share


def main():
    results.arguments(__doc__).parse_args()
    measured = results.gpu_lines("perf-gpu")
    if measured is None:
        return 0
    gpu, lines = measured
    table = results.Table("gpu_copies",
                          "%d x %s, CUDA %d.%d; medians in turn with the driver's own copy"
                          % (gpu["gpus"], gpu["gpu"], gpu["cuda"] // 1000,
                             gpu["cuda"] % 1000 // 10), gpu["gpu"])
    for line in lines:
        ours, raw, size = line["nixl_us"], line["raw_us"], line["bytes"]
        target = target_of(line["work"], size)
        table.row("%s, %s" % (line["work"], size_text(size)), target[0] if target else "",
                  "%.1f %% of raw; %.2f us, waited for %.2f, raw %.2f; %.2f GB/s"
                  % (100 * raw / ours, ours, line["nixl_wait_us"], raw, size / ours / 1e3),
                  target[1](ours, raw) if target else None)
        table.save(done=False)
    table.save()
    return table.code()


if __name__ == "__main__":
    sys.exit(main())
