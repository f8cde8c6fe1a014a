#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the tests of the built programs.

    run.py BUILD_DIR [PATTERN]

The last line is `N passed, N failed, N skipped`.
"""

import argparse
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build", help="folder of the build")
    parser.add_argument("pattern", nargs="?", default="test_*.py")
    options = parser.parse_args()
    os.environ["NIXL_TEST_BUILD"] = os.path.abspath(options.build)
    sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "support")]
    from unit_run import run_folder

    passed, failed, skipped = run_folder(HERE, options.pattern)
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
