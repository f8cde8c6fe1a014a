# SPDX-License-Identifier: Apache-2.0
"""Runs a folder of unittest files and counts what passed, too."""

import unittest


class Result(unittest.TextTestResult):
    passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


def run_folder(folder, pattern):
    """Runs them, prints why some were skipped; the numbers of passed, failed, skipped."""
    suite = unittest.defaultTestLoader.discover(folder, pattern=pattern, top_level_dir=folder)
    result = unittest.TextTestRunner(resultclass=Result, verbosity=1).run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    for test, reason in result.skipped:
        print("skipped: %s: %s" % (test, reason))
    return result.passed, failed, len(result.skipped)
