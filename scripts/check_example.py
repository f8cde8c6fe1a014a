#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles and runs the specification's C++ example, cut out of its text at test time.

The literal text is compiled (tests/seed runs it on simulated GPUs). What runs here is the text
with host memory at both ends, as where there is no GPU: plain, under ASan and UBSan against the
installed library, and under TSan against a library that was built with it.

Proves: S-150 S-151 S-246
"""
import os
import re
import shutil
import sys
import tempfile

from staging import Cases, Staging, run

EXAMPLE = re.compile(r"^```cpp\n(// nixl_example\.cpp.*?)^```", re.M | re.S)
FLAGS = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-pedantic"]
EXPECTED = "Transfer completed successfully\n"


def on_the_host(text):
    """The example without a GPU."""
    changed = text.replace("config.enable_gpu = true", "config.enable_gpu = false")
    changed, count = re.subn(r"MemoryType::DEVICE,\s*0[^\n]*\n", "MemoryType::HOST\n", changed)
    assert count == 1, "the example has changed: no DEVICE allocation"
    return changed


def build(compiler, source, staging, *options):
    program = source + "." + compiler + "".join(options).replace("/", "_")
    command = [compiler] + FLAGS + list(options) + [source, "-o", program]
    run(command + ["-I" + staging.headers, "-L" + staging.libraries, "-lnixl"])
    return program


def build_and_run(compiler, source, staging, *options):
    program = build(compiler, source, staging, *options)
    environment = {
        "LD_LIBRARY_PATH": staging.libraries,
        "ASAN_OPTIONS": "detect_leaks=1",
        "UBSAN_OPTIONS": "halt_on_error=1",
        "TSAN_OPTIONS": "halt_on_error=1",
    }
    text = run([program], environment)
    assert text == EXPECTED, "printed " + repr(text)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: check_example.py SPECIFICATION")
    with open(sys.argv[1], encoding="utf-8") as file:
        found = EXAMPLE.search(file.read())
    cases = Cases()
    if not found:
        sys.exit("no C++ example in " + sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        literal, host = os.path.join(folder, "literal.cpp"), os.path.join(folder, "host.cpp")
        for path, text in ((literal, found.group(1)), (host, on_the_host(found.group(1)))):
            with open(path, "w") as file:
                file.write(text)
        plain = cases.run("install", Staging, "build", os.path.join(folder, "plain"))
        tsan = cases.run("install, TSan", Staging, "build-tsan", os.path.join(folder, "tsan"))
        for compiler in [name for name in ("g++", "clang++-14") if shutil.which(name)]:
            if plain:
                cases.run("literal text, " + compiler, build, compiler, literal, plain)
                cases.run("host memory, " + compiler, build_and_run, compiler, host, plain)
        if plain:
            sanitize = "-fsanitize=address,undefined"
            cases.run("host memory, ASan", build_and_run, "g++", host, plain, "-g", sanitize)
        if tsan:
            cases.run("TSan", build_and_run, "g++", host, tsan, "-g", "-fsanitize=thread")
    return cases.finish()


if __name__ == "__main__":
    sys.exit(main())
