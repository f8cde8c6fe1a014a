# SPDX-License-Identifier: Apache-2.0
"""Runs the programs of a build and reads what they say."""

import json
import os
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
LIMIT_S = 120


def program(name):
    return os.path.join(os.environ["NIXL_TEST_BUILD"], "tools", name)


def clean_environment(extra):
    """Without settings of the caller's, which would change what is tested."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NIXL_", "NIXLBENCH_"))}
    kept.pop("COLUMNS", None)
    return dict(kept, **extra)


class Done:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def json(self):
        """The one object on standard output. Numbers that are none are refused."""

        def refuse(text):
            raise AssertionError("%s is no JSON number" % text)

        return json.loads(self.out, parse_constant=refuse)


def run(name, *arguments, **environment):
    done = subprocess.run(
        [program(name)] + list(arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        timeout=LIMIT_S,
        env=clean_environment(environment),
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


class ProgramTest(unittest.TestCase):
    """With a folder of its own, which programs see as TMPDIR."""

    maxDiff = None

    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="nixl-tools-")
        self.addCleanup(holder.cleanup)
        self.folder = holder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def run_in_folder(self, name, *arguments, **environment):
        return run(name, *arguments, **dict({"TMPDIR": self.folder}, **environment))

    def bench(self, *arguments, **environment):
        return self.run_in_folder("nixlbench", *arguments, **environment)

    def assert_runs(self, done, code=0):
        self.assertEqual(done.code, code, done.out + done.err)

    def assert_folder_is_empty(self):
        self.assertEqual(os.listdir(self.folder), [])
