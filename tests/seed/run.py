#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the specification's examples against an installation.

    run.py [--gpus N|real] [--prefix DIR] [--text FILE] [PATTERN]

Without --prefix it is a bundle's own, or build/ is installed into a folder. The last line is
`N passed, N failed, N skipped`.
"""

import argparse
import os
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


class Result(unittest.TextTestResult):
    """Counts what passed, too."""

    passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


def prefix_in(folder):
    """Of the bundle's installation, or of one that is made in the folder."""
    sys.path.insert(0, os.path.join(ROOT, "scripts"))
    from staging import installed

    return installed(folder).prefix


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gpus", default="2", help='how many simulated ones, or "real"')
    parser.add_argument("--prefix", help="an installation; by default build/ is installed")
    parser.add_argument("--text", default="", help="the specification")
    parser.add_argument("pattern", nargs="?", default="test_*.py")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nixl-seed-") as folder:
        found = os.path.abspath(options.text) if os.path.isfile(options.text) else ""
        os.environ.update(
            NIXL_SEED_TEXT=found, NIXL_SEED_GPUS=options.gpus,
            NIXL_SEED_PREFIX=os.path.abspath(options.prefix or prefix_in(folder)))
        sys.path.insert(0, HERE)
        suite = unittest.defaultTestLoader.discover(HERE, options.pattern, HERE)
        result = unittest.TextTestRunner(resultclass=Result, verbosity=1).run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    for test, reason in result.skipped:
        print("skipped: %s: %s" % (test, reason))
    print("%d passed, %d failed, %d skipped" % (result.passed, failed, len(result.skipped)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
