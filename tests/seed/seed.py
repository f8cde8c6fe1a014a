# SPDX-License-Identifier: Apache-2.0
"""The specification's examples, cut out of its text when the tests run, and where they run.

Set by run.py:
    NIXL_SEED_TEXT    the specification; empty: it is not here, and everything is skipped
    NIXL_SEED_PREFIX  an installation, with bin/ and a Python package somewhere below
    NIXL_SEED_GPUS    "real": those of the machine; else the number of simulated ones
"""

import os
import re
import subprocess
import sys
import unittest

TEXT, PREFIX, GPUS = (os.environ.get("NIXL_SEED_" + name, "") for name in
                      ("TEXT", "PREFIX", "GPUS"))
LIMIT_S = 900  # 8 runs of 100 iterations of up to 1 GB on a machine that is busy


def block(heading, language):
    """The first program of a language below a heading, word for word."""
    with open(TEXT, encoding="utf-8") as file:
        lines = iter(file.read().split("\n"))
    section = None
    for line in lines:
        fence = re.match(r" *```(\w*)$", line)
        if not fence:
            title = re.match(r"#+ (.*)$", line)
            section = title.group(1) if title else section
            continue
        indent = len(line) - len(line.lstrip())  # lists indent their programs
        program = []
        for line in lines:
            if line.strip() == "```":
                break
            program.append(line[indent:] + "\n")
        if section == heading and fence.group(1) == language:
            return "".join(program)
    raise AssertionError("the specification has no %s program below %r" % (language, heading))


def pythons():
    """Interpreters that may have NumPy or PyTorch, the running one first."""
    return list(dict.fromkeys([sys.executable, "/usr/bin/python3"]))


def python_with(module):
    """An interpreter that can import a module. Skips the test where there is none."""
    for program in pythons():
        if os.path.exists(program) and not subprocess.run(
                [program, "-c", "import " + module], stderr=subprocess.DEVNULL).returncode:
            return program
    raise unittest.SkipTest("no Python here has " + module)


def python_folder():
    for folder, folders, _files in os.walk(PREFIX):
        if "nixl" in folders and os.path.exists(os.path.join(folder, "nixl", "__init__.py")):
            return folder
    raise unittest.SkipTest("the Python package is not installed")


@unittest.skipUnless(TEXT, "the specification's text is not beside this checkout")
class Case(unittest.TestCase):
    """Runs programs against the installation."""

    def environment(self, gpus=None, more=None):
        gpus = GPUS if gpus is None else gpus
        values = dict(os.environ, PYTHONPATH=python_folder(), PYTHONDONTWRITEBYTECODE="1",
                      PATH=os.path.join(PREFIX, "bin") + os.pathsep + os.environ["PATH"])
        if gpus != "real":
            values["NIXL_SIM_GPUS"] = gpus
        values.update(more or {})
        return values

    def run_program(self, command, gpus=None, folder=None, expected_code=0, more=None):
        """Its standard output; its standard error is shown when the code is another one."""
        done = subprocess.run(command, env=self.environment(gpus, more), cwd=folder,
                              timeout=LIMIT_S, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, universal_newlines=True)
        self.assertEqual(done.returncode, expected_code, done.stdout + done.stderr)
        self.errors = done.stderr
        return done.stdout

    def run_python(self, code, needs="numpy", **options):
        return self.run_program([python_with(needs), "-c", code], **options)
