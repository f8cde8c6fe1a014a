#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds a wheel of this checkout, installs it into a fresh environment and uses it there.

Proves: S-013
"""
import glob
import os
import subprocess
import sys
import tempfile
import venv

import tree
from staging import CannotRun, Cases, run

USE = """
import importlib.metadata, nixl
target = bytearray(5)
nixl.transfer(b"hello", target)
assert target == b"hello", target
assert importlib.metadata.version("nixl") == nixl.__version__, nixl.__version__
from nixl._calls import hot_module
print("compiled calls:", hot_module is not None)
"""
# What pip says when it has no way to what the build needs.
UNREACHABLE = ("No matching distribution", "Could not find a version", "Network is unreachable",
               "Temporary failure in name resolution", "No module named pip", "NewConnectionError",
               "Connection refused", "Read timed out")


def build(folder):
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", folder, "."]
    done = subprocess.run(command, cwd=tree.ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        for words in UNREACHABLE:
            if words in text:
                raise CannotRun("pip cannot fetch what the build needs: " + words)
        print(text)
        raise AssertionError("pip wheel: exit code %d" % done.returncode)
    return glob.glob(os.path.join(folder, "nixl-*.whl"))[0]


def name_serves_every_python(wheel):
    name = os.path.basename(wheel)
    assert "-cp38-abi3-" in name or "-py3-none-" in name, name


def use(folder, wheel):
    home = os.path.join(folder, "environment")
    venv.create(home, with_pip=True)
    python = os.path.join(home, "bin", "python")
    # Nor has a wheel the simulated GPUs that this machine may ask for.
    hidden = {"PYTHONPATH": "", "NIXL_LIBRARY": "", "NIXL_PYTHON_HOT": "", "NIXL_SIM_GPUS": "0"}
    run([python, "-m", "pip", "install", "--no-index", "--no-deps", wheel], hidden, quiet=True)
    run([python, "-c", USE], hidden, folder="/")
    programs = [name for name in os.listdir(os.path.join(home, "bin")) if name.startswith("nixl")]
    assert not programs, "the wheel installs programs that cannot start: %s" % programs


def main():
    cases = Cases()
    with tempfile.TemporaryDirectory() as folder:
        wheel = cases.run("build", build, folder)
        if wheel:
            cases.run("the name serves every Python", name_serves_every_python, wheel)
            cases.run("installed and used in a fresh environment", use, folder, wheel)
    return cases.finish()


if __name__ == "__main__":
    sys.exit(main())
