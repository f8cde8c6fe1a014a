# SPDX-License-Identifier: Apache-2.0
"""Counts single test cases in the output of test programs: (passed, failed, skipped)."""

import json
import os
import re

import tree

GTEST_TOTAL = re.compile(r"^\[==========\] (\d+) tests? from \d+ test (?:suites?|cases?) ran", re.M)
GTEST_PART = {
    "PASSED": re.compile(r"^\[  PASSED  \] (\d+) tests?", re.M),
    "FAILED": re.compile(r"^\[  FAILED  \] (\d+) tests?, listed below", re.M),
    "SKIPPED": re.compile(r"^\[  SKIPPED \] (\d+) tests?, listed below", re.M),
}
GTEST_LINE = re.compile(r"^\[       OK \] ", re.M)
UNITTEST_RAN = re.compile(r"^Ran (\d+) tests? in", re.M)
UNITTEST_END = re.compile(r"^(?:OK|FAILED)(?: \(([^)]*)\))?\s*$", re.M)
OWN = re.compile(r"\b(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$", re.M)


def add(*counts):
    return tuple(sum(parts) for parts in zip((0, 0, 0), *counts))


def of_gtest(text):
    """Of one or more runs in `text`; None when there is none that came to its end."""
    if not GTEST_TOTAL.search(text):
        return None
    part = {
        name: sum(int(n) for n in pattern.findall(text)) for name, pattern in GTEST_PART.items()
    }
    return part["PASSED"], part["FAILED"], part["SKIPPED"]


def of_unittest(text):
    runs = [int(n) for n in UNITTEST_RAN.findall(text)]
    if not runs:
        return None
    ends = UNITTEST_END.findall(text)[-len(runs) :]
    failed = skipped = 0
    for end in ends:
        counts = dict(part.split("=") for part in end.replace(" ", "").split(",") if "=" in part)
        failed += sum(
            int(counts.get(name, 0)) for name in ("failures", "errors", "unexpectedsuccesses")
        )
        skipped += int(counts.get("skipped", 0))
    return max(0, sum(runs) - failed - skipped), failed, skipped


def of_text(text):
    """Of the program's own summary in its last line, else of whatever frameworks `text` shows; None
    when it shows none."""
    last = OWN.search((text.rstrip().splitlines() or [""])[-1])
    if last:
        return tuple(int(n or 0) for n in last.groups())
    found = [count for count in (of_gtest(text), of_unittest(text)) if count]
    return add(*found) if found else None


def of_program(text, ok):
    """Of one program; one that failed without saying which case failed has one failed case more."""
    counts = of_text(text)
    if counts is None:
        finished = len(GTEST_LINE.findall(text))  # it died on the way
        return (finished + 1, 0, 0) if ok else (finished, 1, 0)
    return counts if ok or counts[1] else add(counts, (0, 1, 0))


def meson_log(build):
    return os.path.join(tree.ROOT, build, "meson-logs", "testlog.json")


def forget_meson_log(build):
    """So that a run that never starts is not counted as the one before."""
    if build and os.path.exists(meson_log(build)):
        os.remove(meson_log(build))


def of_meson(build):
    """Of the last `meson test` in the folder `build`; None when its log cannot be read."""
    total = (0, 0, 0)
    try:
        with open(meson_log(build), encoding="utf-8", errors="replace") as log:
            for line in log:
                test = json.loads(line)
                if test["result"] == "SKIP":
                    total = add(total, (0, 0, 1))
                else:
                    text = test.get("stdout", "") + "\n" + test.get("stderr", "")
                    total = add(total, of_program(text, test["result"] in ("OK", "EXPECTEDFAIL")))
    except (OSError, ValueError, KeyError):
        return None
    return total if sum(total) else None


def of_step(step, text, code):
    if not step.counted:
        return (0, 0, 0) if code == 0 else (0, 1, 0)
    counts = of_meson(step.meson_build) if step.meson_build else None
    if counts is None:
        return of_program(text, code == 0)
    return counts if code == 0 or counts[1] else add(counts, (0, 1, 0))
