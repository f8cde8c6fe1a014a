# SPDX-License-Identifier: Apache-2.0
"""What the tests of the Python package share."""

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import nixl

try:
    import numpy
except ImportError:
    numpy = None

REAL_GPUS = bool(os.environ.get("NIXL_TEST_GPU"))
GPUS = {} if REAL_GPUS else {"NIXL_SIM_GPUS": "2"}  # the environment of a child with GPUs

needs_numpy = unittest.skipIf(numpy is None, "NumPy is not installed")
needs_root = unittest.skipIf(os.geteuid() != 0, "needs root")


def has_torch():
    """Whether PyTorch can be imported; not imported for those who do not ask."""
    import importlib.util

    return importlib.util.find_spec("torch") is not None


class Case(unittest.TestCase):
    """Leaves the library closed, so that every test starts with its own settings."""

    def tearDown(self):
        nixl.finalize()

    def scratch(self):
        """A folder of the test's own, removed after it."""
        folder = tempfile.TemporaryDirectory(prefix="nixl-test-")
        self.addCleanup(folder.cleanup)
        return folder.name

    def use_faults(self, backend="memcpy", **rates):
        """Opens the library with a backend that misbehaves at the given rates."""
        settings = {"fault.%s" % name: value for name, value in rates.items()}
        nixl.initialize(decorators="fault:" + backend, path_policy="allow", **settings)


def until(condition, seconds=20.0):
    """Waits for a condition; False when it did not come true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.001)  # allow(sleep): between looks at a condition with a deadline
    return True


def in_threads(count, work):
    """Runs ``work(number)`` in as many threads at once; returns what they raised, as text."""
    raised = []

    def run(number):
        try:
            work(number)
        except BaseException as error:
            raised.append(repr(error))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def _environment():
    """Where a process of its own finds the package."""
    environment = dict(os.environ)
    environment.setdefault("PYTHONPATH", os.path.dirname(os.path.dirname(nixl.__file__)))
    return environment


def started(code, *arguments, within=()):
    """Python code that runs in a process of its own, with pipes to and from it.

    ``within`` is the command that starts it.
    """
    return subprocess.Popen(
        list(within) + [sys.executable, "-c", code] + list(arguments), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, universal_newlines=True, env=_environment())


def child(code, *arguments, env=None, check=True, timeout=120, python=None):
    """Runs Python code in a process of its own; returns the finished process with its output."""
    environment = _environment()
    environment.update(env or {})
    process = subprocess.run(
        [python or sys.executable, "-c", code] + list(arguments), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, universal_newlines=True, env=environment, timeout=timeout)
    if check and process.returncode != 0:
        raise AssertionError("the child ended with %d\n%s%s" % (
            process.returncode, process.stdout, process.stderr))
    return process


def traced_operations(text):
    """Of a backend behind the decorator trace: how many were in flight at most, and their sizes."""
    in_flight, most, sizes = set(), 0, []
    for line in text.splitlines():
        event = re.search(r"queue \d+: (submit|completed) tag (\d+)", line)
        if event and event.group(1) == "submit":
            in_flight.add(event.group(2))
            most = max(most, len(in_flight))
        elif event:
            in_flight.discard(event.group(2))
            sizes.append(int(re.search(r"bytes (\d+)", line).group(1)))
    return most, sorted(sizes)


def open_descriptors():
    return len(os.listdir("/proc/self/fd"))


def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
