# SPDX-License-Identifier: Apache-2.0
"""Steps run in the order of their needs, and every way to fail is counted."""
import contextlib
import io
import os
import subprocess
import sys
import tempfile
import unittest

import run_steps
import tree
from steps import Step


class Steps(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        logs, run_steps.LOGS = run_steps.LOGS, folder.name
        self.addCleanup(setattr, run_steps, "LOGS", logs)

    def run_all(self, *steps):
        """{name: (state, cases)}"""
        runner = run_steps.Runner(steps, 2)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            runner.run()
        self.text = out.getvalue()
        return {name: (outcome.state, outcome.cases) for name, outcome in runner.outcomes.items()}

    def test_success_failure_and_skip_are_counted(self):
        done = self.run_all(
            Step("good", "", ["echo", "3 passed, 0 failed"]),
            Step("bad", "", ["false"]),
            Step("gone", "", ["/nonexistent/program"]),
            Step("not here", "", ["true"], skip=lambda: "no device"),
        )
        self.assertEqual(done["good"], ("ok", (3, 0, 0)))
        self.assertEqual(done["bad"], ("FAIL", (0, 1, 0)))
        self.assertEqual(done["gone"], ("FAIL", (0, 1, 0)))
        self.assertEqual(done["not here"], ("SKIP", (0, 0, 1)))
        self.assertIn("no device", self.text)

    def test_step_whose_need_failed_does_not_run_and_fails(self):
        done = self.run_all(
            Step("tests", "", ["true"], needs=("build",)),
            Step("build", "", ["false"], counted=False),
        )
        self.assertEqual(done["tests"], ("FAIL", (0, 1, 0)))
        self.assertIn("not run: build failed", self.text)

    def test_build_is_no_test_case_unless_it_fails(self):
        done = self.run_all(Step("a", "", ["true"], counted=False), Step("b", "", ["true"]))
        self.assertEqual(done["a"], ("ok", (0, 0, 0)))
        self.assertEqual(done["b"], ("ok", (1, 0, 0)))

    def test_step_beyond_its_limit_is_ended_with_its_children(self):
        done = self.run_all(Step("slow", "", ["sh", "-c", "sleep 1000 & wait"], limit_s=0.2))
        self.assertEqual(done["slow"][0], "FAIL")
        self.assertIn("not done after", self.text)

    def test_failed_case_fails_a_step_that_exits_well(self):
        done = self.run_all(Step("liar", "", ["echo", "1 passed, 2 failed"]))
        self.assertEqual(done["liar"], ("FAIL", (1, 2, 0)))

    def test_failures_far_from_the_end_are_told(self):
        early = ["FAIL: test_x (a.B.test_x)", "[  FAILED  ] A.b (3 ms)", "../a.cpp:7: Failure",
                 "WARNING: ThreadSanitizer: data race (pid=1)", "==9==ERROR: AddressSanitizer: x"]
        text = "\n".join(["ok"] * 5 + early + early + ["skipped: y"] * 100)

        told = run_steps.what_failed(text)

        self.assertEqual(told[:len(early)], early)
        self.assertEqual(told[len(early):], ["skipped: y"] * run_steps.TAIL_LINES)

    def test_chosen_steps_bring_what_they_need(self):
        steps = [Step("a", "", []), Step("b", "", [], needs=("a",)), Step("c", "", [])]
        self.assertEqual([step.name for step in run_steps.chosen(steps, ["b"])], ["a", "b"])
        self.assertEqual(len(run_steps.chosen(steps, [])), 3)


class CommandLine(unittest.TestCase):
    def run_steps(self, *arguments):
        program = os.path.join(tree.ROOT, "scripts", "run_steps.py")
        return subprocess.run(
            [sys.executable, program] + list(arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )

    def test_help_and_errors_name_the_command_as_it_is_typed(self):
        for group in ("test", "check"):
            usage = self.run_steps(group, "--help")
            wrong = self.run_steps(group, "--nonsense")

            self.assertEqual((usage.returncode, wrong.returncode), (0, 2))
            self.assertTrue(usage.stdout.startswith("usage: ./dev %s [" % group), usage.stdout)
            self.assertIn("./dev %s: error:" % group, wrong.stderr)

    def test_steps_may_stand_on_both_sides_of_options(self):
        both = self.run_steps("test", "tools", "--no-setup", "scripts", "--list")

        self.assertEqual(both.returncode, 0, both.stderr)
        self.assertIn("tools", both.stdout)


if __name__ == "__main__":
    unittest.main()
