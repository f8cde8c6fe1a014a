#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles every header alone: ABI headers as C11 and C++17, public ones as C++17, others C++20.

An internal one whose .cpp file includes it before all else is compiled alone by the build.
"""

import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys

import tree

WARNINGS = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only"]


FIRST_INCLUDE = re.compile(r'^#include "([^"]+)"|^#include', re.M)


def is_first_of_its_source(name):
    source = os.path.splitext(name)[0] + ".cpp"
    if name.startswith("include/") or not os.path.exists(os.path.join(tree.ROOT, source)):
        return False
    first = FIRST_INCLUDE.search(tree.read(source))
    return bool(first and first.group(1) and ("/" + name).endswith("/" + first.group(1)))


def jobs_for(name):
    """(compiler, language flags) for one header."""
    compilers = [c for c in ("g++", "clang++-14") if shutil.which(c)]
    if name.startswith("include/"):
        jobs = [(c, ["-x", "c++", "-std=c++17"]) for c in compilers]
        if name.endswith(".h") and name != "include/nixl/nixl.h":
            jobs += [
                ("gcc" if c == "g++" else "clang-14", ["-x", "c", "-std=c11"]) for c in compilers
            ]
        return jobs
    return [
        ("g++", ["-x", "c++", "-std=c++20", "-Isrc", "-Ibackends", "-Itests", "-Itools", "-I."])
    ]


def compile_alone(job):
    name, compiler, flags = job
    # Included rather than compiled itself: "#pragma once in main file" is no warning of interest.
    command = [compiler] + WARNINGS + flags + ["-Iinclude", "-"]
    done = subprocess.run(
        command,
        cwd=tree.ROOT,
        input=('#include "%s"\n' % name).encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return (
        None
        if done.returncode == 0
        else "%s: %s\n%s" % (name, " ".join(command), done.stdout.decode(errors="replace"))
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("headers", nargs="*", help="paths from the root; default: all")
    wanted = parser.parse_args().headers or [
        name for name in tree.files(".h", ".hpp") if not is_first_of_its_source(name)
    ]
    jobs = [
        (name, compiler, flags + ["-I."]) for name in wanted for compiler, flags in jobs_for(name)
    ]
    workers = len(os.sched_getaffinity(0))
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        failures = [text for text in pool.map(compile_alone, jobs) if text]
    print(
        "\n".join(
            failures
            + ["headers: %d passed, %d failed" % (len(jobs) - len(failures), len(failures))]
        )
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
