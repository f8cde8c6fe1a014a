#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Says which GPUs this machine has and fails where there is none; with --sanitizer, runs the cuda
backend's tests of kernels and copies under compute-sanitizer.

Where the sanitizer does not accept the device, its message is quoted and the case skipped.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys

import tree
from staging import CannotRun, Cases

TESTS = os.path.join(tree.ROOT, "build", "tests", "unit", "cuda-unit-tests")
# Of few seeds: the sanitizer makes kernels some hundred times slower.
FILTER = "--gtest_filter=*Gather*:*Copy*:*Openings*:-*LostGpu*:*Random*"
REFUSED = re.compile(r"^=+ *([^\n]*(?:not supported|[Uu]nable to)[^\n]*)", re.M)
RAN = re.compile(r"^\[  PASSED  \] [1-9]", re.M)


def gpus():
    info = os.path.join(tree.ROOT, "build", "tools", "nixl-info")
    text = subprocess.run([info, "--backends"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True).stdout
    print(text, end="", flush=True)
    assert re.search(r"^ *cuda +available", text, re.M), "no GPU can be used; see above"


def sanitize(tool):
    sanitizer = shutil.which("compute-sanitizer")
    if sanitizer is None:
        raise CannotRun("compute-sanitizer is not installed")
    command = [sanitizer, "--tool", tool, "--error-exitcode", "9", TESTS, FILTER]
    print("$ " + " ".join(command), flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, env=dict(os.environ, NIXL_TEST_SEEDS="2"))
    print(done.stdout, end="", flush=True)
    summary = re.findall(r"(?:ERROR|RACECHECK) SUMMARY: [^\n]*", done.stdout)
    refused = REFUSED.search(done.stdout)
    if not summary and refused:
        raise CannotRun("compute-sanitizer: " + refused.group(1))
    assert done.returncode == 0 and summary and RAN.search(done.stdout), (
        "%s: exit code %d, %s" % (tool, done.returncode, summary or "no summary"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--sanitizer", metavar="TOOL", help="memcheck or racecheck")
    tool = parser.parse_args().sanitizer
    cases = Cases()
    cases.run(tool or "GPUs", sanitize if tool else gpus, *([tool] if tool else []))
    return cases.finish()


if __name__ == "__main__":
    sys.exit(main())
