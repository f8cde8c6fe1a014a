#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""65,536 scattered blocks to, from, within and between GPUs, beside the bare kernel.

The bare kernel finds its indices on the GPU, as prepared lists that are posted whole find their
addresses there: these are compared. Indices that are new with each post, and runs, are written
down by the host first.
"""

import sys

import results
from bench_copies import size_text

POST_US = 300


def target_of(line):
    """The share of the bare kernel's rate that is asked for; None: no target."""
    work, block, sms = line["work"], line["block"], line["sms"]
    if line["form"] != "lists":
        return None
    if block == 1024:
        return 0.95 if (work, sms) == ("GPU to GPU, written", 32) else None
    if "host" in work:
        return 0.95 if sms == 2 else None
    return 0.97 if sms == 0 else 0.95


def row(table, line):
    share = line["raw_us"] / line["nixl_us"]
    rate = line["block"] * line["count"] / line["nixl_us"] / 1e3
    sms = "all SMs" if line["sms"] == 0 else "%d SMs" % line["sms"]
    target = target_of(line)
    verified = "" if line["wrong"] == 0 else "; %d BLOCKS WRONG" % line["wrong"]
    table.row("%s, %s, %s, %s" % (line["work"], size_text(line["block"]), sms, line["form"]),
              "" if target is None else ">= %.0f %% of the kernel" % (100 * target),
              "%.1f %%; %.1f us (posted in %.1f), kernel %.1f (%.1f); %.1f GB/s%s"
              % (100 * share, line["nixl_us"], line["post_us"], line["raw_us"],
                 line["raw_post_us"], rate, verified),
              None if target is None and line["wrong"] == 0
              else line["wrong"] == 0 and share >= target)


def main():
    results.arguments(__doc__).parse_args()
    measured = results.gpu_lines("perf-gather")
    if measured is None:
        return 0
    gpu, lines = measured
    table = results.Table(
        "gpu_gather", "%d x %s; 65,536 shuffled blocks, medians in turn with the bare kernel, "
        "contents compared" % (gpu["gpus"], gpu["gpu"]), gpu["gpu"])
    posts = {True: [], False: []}
    for line in lines:
        row(table, line)
        table.save(done=False)
        if line["form"] == "index":
            posts["host" in line["work"]].append(line)
    for with_host, between in ((False, "between GPUs"), (True, "to and from the host")):
        if posts[with_host]:
            slowest = max(posts[with_host], key=lambda line: line["post_us"])
            table.row("posting 65,536 blocks by index %s, slowest of these" % between,
                      "" if with_host else "<= %d us" % POST_US,
                      "%.1f us (the bare launch then %.1f)"
                      % (slowest["post_us"], slowest["raw_post_us"]),
                      None if with_host else slowest["post_us"] <= POST_US)
    table.save()
    return table.code()


if __name__ == "__main__":
    sys.exit(main())
