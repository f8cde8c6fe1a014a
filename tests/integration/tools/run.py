#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the tests of the built programs.

    run.py BUILD_DIR [PATTERN]

The last line is `N passed, N failed, N skipped`.
"""

import argparse
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


class Result(unittest.TextTestResult):
    """Counts what passed, too."""

    passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build", help="folder of the build")
    parser.add_argument("pattern", nargs="?", default="test_*.py")
    options = parser.parse_args()
    os.environ["NIXL_TEST_BUILD"] = os.path.abspath(options.build)
    sys.path.insert(0, HERE)
    suite = unittest.defaultTestLoader.discover(HERE, options.pattern, HERE)
    result = unittest.TextTestRunner(resultclass=Result, verbosity=1).run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    for test, reason in result.skipped:
        print("skipped: %s: %s" % (test, reason))
    print("%d passed, %d failed, %d skipped" % (result.passed, failed, len(result.skipped)))
    return 1 if failed or not result.passed else 0


if __name__ == "__main__":
    sys.exit(main())
