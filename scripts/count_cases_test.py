# SPDX-License-Identifier: Apache-2.0
"""The counts that ./dev test prints are those of the programs it ran."""

import unittest

import count_cases

GTEST = """[==========] Running 4 tests from 1 test suite.
[       OK ] A.b (0 ms)
[==========] 4 tests from 1 test suite ran. (1 ms total)
[  PASSED  ] 2 tests.
[  SKIPPED ] 1 test, listed below:
[  SKIPPED ] A.c
[  FAILED  ] 1 test, listed below:
[  FAILED  ] A.d
"""


class CountCases(unittest.TestCase):
    def test_gtest_summary_counts_every_case(self):
        self.assertEqual(count_cases.of_text(GTEST), (2, 1, 1))
        self.assertEqual(count_cases.of_text(GTEST + GTEST), (4, 2, 2))

    def test_gtest_that_died_counts_what_it_did_and_one_failure(self):
        self.assertEqual(count_cases.of_program(GTEST[:80], False), (1, 1, 0))

    def test_unittest_summary_counts_every_case(self):
        self.assertEqual(count_cases.of_text("Ran 5 tests in 0.1s\n\nOK (skipped=2)\n"), (3, 0, 2))
        self.assertEqual(
            count_cases.of_text("Ran 5 tests in 0.1s\n\nFAILED (failures=1, errors=2)\n"), (2, 3, 0)
        )
        self.assertEqual(
            count_cases.of_text("Ran 1 test in 0s\n\nOK\nRan 2 tests in 0s\n\nOK\n"), (3, 0, 0)
        )

    def test_own_summary_counts(self):
        self.assertEqual(count_cases.of_text("abi: 3 passed, 1 failed, 2 skipped\n"), (3, 1, 2))
        text = "Ran 7 tests in 1s\n\nOK\n7 passed, 0 failed"
        self.assertEqual(count_cases.of_text(text), (7, 0, 0))

    def test_program_without_summary_is_one_case(self):
        self.assertEqual(count_cases.of_program("hello", True), (1, 0, 0))
        self.assertEqual(count_cases.of_program("hello", False), (0, 1, 0))

    def test_failure_that_no_case_shows_is_counted(self):
        self.assertEqual(count_cases.of_program("3 passed, 0 failed", False), (3, 1, 0))


if __name__ == "__main__":
    unittest.main()
