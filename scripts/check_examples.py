#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the README's two programs and everything in examples/ against an installation.

Proves: S-151
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

import tree
from staging import CannotRun, Cases, Staging, run

BLOCK = r"```%s\n(.*?)^```"
FLAGS = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-pedantic"]


def block_of_readme(language):
    found = re.search(BLOCK % language, tree.read("README.md"), re.M | re.S)
    assert found, "the README has no program in " + language
    return found.group(1)


def python_with_numpy():
    for program in (sys.executable, "/usr/bin/python3"):
        command = [program, "-c", "import numpy"]
        if os.path.exists(program) and not subprocess.run(
                command, stderr=subprocess.DEVNULL).returncode:
            return program
    raise CannotRun("no Python here has NumPy")


def run_python(program, staging, folder, *arguments):
    environment = {"PYTHONPATH": staging.python_folder(), "PYTHONDONTWRITEBYTECODE": "1"}
    run([program] + list(arguments), environment, folder=folder)


def readme_python(staging, folder):
    run_python(python_with_numpy(), staging, folder, "-c", block_of_readme("python"))


def flags_of_pkg_config(staging):
    if shutil.which("pkg-config") is None:
        raise CannotRun("pkg-config is not installed")
    environment = {"PKG_CONFIG_PATH": os.path.join(staging.libraries, "pkgconfig"),
                   "PKG_CONFIG_SYSROOT_DIR": staging.root}
    flags = run(["pkg-config", "--cflags", "--libs", "nixl"], environment).split()
    libraries = [flag for flag in flags if flag.startswith("-l")]
    assert libraries == ["-lnixl"], "a program needs more than -lnixl: %s" % libraries
    return flags


def compile_and_run(source, staging, folder, flags):
    program = os.path.join(folder, "program")
    run(["g++"] + FLAGS + [source, "-o", program] + flags)
    run([program], {"LD_LIBRARY_PATH": staging.libraries}, folder=folder)


def readme_cpp(staging, folder, flags):
    source = os.path.join(folder, "readme.cpp")
    with open(source, "w", encoding="utf-8") as file:
        file.write(block_of_readme("cpp"))
    compile_and_run(source, staging, folder, flags)


def main():
    cases = Cases()
    with tempfile.TemporaryDirectory() as root, tempfile.TemporaryDirectory() as folder:
        staging = cases.run("install", Staging, "build", root)
        if staging is None:
            return cases.finish()
        plain = ["-I" + staging.headers, "-L" + staging.libraries, "-lnixl"]
        cases.run("README, Python", readme_python, staging, folder)
        cases.run("README, C++", readme_cpp, staging, folder, plain)
        flags = cases.run("pkg-config names -lnixl alone", flags_of_pkg_config, staging)
        if flags:
            cases.run("README, C++, by pkg-config", readme_cpp, staging, folder, flags)
        for path in sorted(glob.glob(os.path.join(tree.ROOT, "examples", "*"))):
            name = os.path.basename(path)
            if path.endswith(".py"):
                cases.run(name, run_python, sys.executable, staging, folder, path)
            elif path.endswith(".cpp"):
                cases.run(name, compile_and_run, path, staging, folder, plain)
    return cases.finish()


if __name__ == "__main__":
    sys.exit(main())
