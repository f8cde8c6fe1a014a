#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the steps of `./dev test`, `./dev test --gpu` or `./dev check`, and counts test cases.

Prints one line per step: ok, FAIL or SKIP, its name, its seconds, its cases or the reason. The
output of each step is kept in build/test-logs/. The last line is "N passed, N failed" or
"N passed, N failed, N skipped".
"""

import argparse
import os
import re
import subprocess
import sys
import threading
import time

import count_cases
import tree
from steps import steps_of

LOGS = os.path.join(tree.ROOT, "build", "test-logs")
TAIL_LINES = 40
# What names a failure, of the test programs' and the sanitizers' lines.
FAILURE = re.compile(r"^(FAIL|ERROR): |^\[  FAILED  \] |: Failure$|^(WARNING|ERROR|==\d+==ERROR): "
                     r"\w+Sanitizer")
MOST_FAILURES = 30


class Outcome:
    def __init__(self, state, cases=(0, 0, 0), reason="", seconds=0.0):
        self.state = state  # "ok", "FAIL" or "SKIP"
        self.cases = cases  # passed, failed, skipped
        self.reason = reason
        self.seconds = seconds


def what_failed(text):
    """The lines of a log that tell: those that name failures, and its end."""
    lines = text.splitlines()
    named = [line for line in lines[:-TAIL_LINES] if FAILURE.search(line)]
    return list(dict.fromkeys(named))[:MOST_FAILURES] + lines[-TAIL_LINES:]


def run_step(step):
    """Runs one step to its end, or to its time limit."""
    reason = step.skip() if step.skip else ""
    if reason:
        return Outcome("SKIP", (0, 0, 1), reason)
    begin = time.monotonic()
    log = os.path.join(LOGS, step.name + ".log")
    count_cases.forget_meson_log(step.meson_build)
    environment = dict(os.environ, **step.environment)
    with open(log, "wb") as out:
        out.write(("$ " + " ".join(step.command) + "\n").encode())
        out.flush()
        try:
            child = subprocess.Popen(
                step.command,
                cwd=tree.ROOT,
                env=environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            code = child.wait(timeout=step.limit_s)
            reason = "" if code == 0 else "exit code %d" % code
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, 9)  # the whole group: its children hold the log and the CPUs
            child.wait()
            code, reason = 1, "not done after %g s" % step.limit_s
        except OSError as error:
            code, reason = 1, str(error)
    with open(log, errors="replace") as out:
        text = out.read()
    cases = count_cases.of_step(step, text, code)
    if code == 0 and step.must_pass_some and cases[0] == 0:
        code, reason = 1, "no case passed"
        cases = (cases[0], cases[1] + 1, cases[2])
    failed = code != 0 or cases[1] > 0
    return Outcome("FAIL" if failed else "ok", cases, reason, time.monotonic() - begin)


class Runner:
    """Steps with their needs, run by a few threads. A step whose need failed counts as failed."""

    def __init__(self, steps, slots):
        self.waiting = list(steps)
        self.slots = slots
        self.outcomes = {}
        self.changed = threading.Condition()

    def take(self):
        """The next step that can start; None when all are done or started. Waits for needs."""
        with self.changed:
            while self.waiting:
                for step in self.waiting:
                    if all(need in self.outcomes for need in step.needs):
                        self.waiting.remove(step)
                        return step
                self.changed.wait()
            return None

    def work(self):
        while True:
            step = self.take()
            if step is None:
                return
            missing = [need for need in step.needs if self.outcomes[need].state == "FAIL"]
            if missing:
                outcome = Outcome("FAIL", (0, 1, 0), "not run: %s failed" % missing[0])
            else:
                outcome = run_step(step)
            self.report(step, outcome)

    def report(self, step, outcome):
        with self.changed:
            self.outcomes[step.name] = outcome
            count = sum(outcome.cases)
            cases = outcome.reason or "%d case%s" % (count, "" if count == 1 else "s")
            if not outcome.reason and outcome.cases[2]:
                cases += ", %d skipped" % outcome.cases[2]
            print(
                "%-4s %s (%.1f s) %s" % (outcome.state, step.name, outcome.seconds, cases),
                flush=True,
            )
            log = os.path.join(LOGS, step.name + ".log")
            if outcome.state == "FAIL" and not outcome.reason.startswith("not run"):
                with open(log, errors="replace") as out:
                    told = what_failed(out.read())
                print("\n".join("     | " + line for line in told), flush=True)
            self.changed.notify_all()

    def run(self):
        threads = [threading.Thread(target=self.work) for _ in range(self.slots)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def chosen(steps, names):
    """The named steps and what they need, in order; all without names."""
    if not names:
        return steps
    by_name = {step.name: step for step in steps}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        sys.exit("no step %s; there are: %s" % (unknown[0], " ".join(by_name)))
    wanted = set()

    def add(name):
        if name not in wanted:
            wanted.add(name)
            for need in by_name[name].needs:
                add(need)

    for name in names:
        add(name)
    return [step for step in steps if step.name in wanted]


def main():
    # The command is part of the name that is shown, so the parser does not see it.
    group = sys.argv[1] if len(sys.argv) > 1 else ""
    if group not in ("test", "check"):
        sys.exit("usage: run_steps.py test|check [ARGUMENT ...]")
    parser = argparse.ArgumentParser(
        prog="./dev " + group,
        description=__doc__.split("\n")[0],
        epilog=__doc__.split("\n\n", 1)[1],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("steps", nargs="*", metavar="STEP", help="only these, and what they need")
    parser.add_argument("--list", action="store_true", help="name the steps and end")
    if group == "test":
        parser.add_argument("--gpu", action="store_true",
                            help="the tests that need a GPU, on this machine's")
    parser.add_argument("--no-setup", action="store_true", help="do not look for missing packages")
    arguments = parser.parse_intermixed_args(sys.argv[2:])
    on_gpu = getattr(arguments, "gpu", False)
    if tree.BUNDLED and not on_gpu:
        sys.exit("a bundle has ./dev test --gpu alone; the rest is tested in a checkout")
    steps = steps_of("gpu" if on_gpu else group)
    if arguments.list:
        for step in steps:
            print("%-18s %s" % (step.name, step.about))
        return 0
    steps = chosen(steps, arguments.steps)
    if not arguments.no_setup and not tree.BUNDLED:
        setup = [os.path.join(tree.ROOT, "scripts", "setup.sh"), "--test"]
        if subprocess.run(setup, stdin=subprocess.DEVNULL).returncode != 0:
            print(
                "FAIL setup: packages are missing; --no-setup goes on without\n0 passed, 1 failed"
            )
            return 1
    os.makedirs(LOGS, exist_ok=True)
    # One at a time on a GPU: tests look at what is free of its memory.
    runner = Runner(steps, 1 if on_gpu else min(2, len(os.sched_getaffinity(0))))
    runner.run()
    passed, failed, skipped = (
        sum(outcome.cases[i] for outcome in runner.outcomes.values()) for i in range(3)
    )
    print("%d passed, %d failed" % (passed, failed) + (", %d skipped" % skipped if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
