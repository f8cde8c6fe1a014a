#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the kept PTX of the kernels with what the compilers make of their sources.

The bytes are compared where exactly the compilers are installed that made them; --write makes them
anew there.
"""

import argparse
import os
import shutil
import subprocess
import sys

import tree

FOLDER = os.path.join(tree.ROOT, "backends", "cuda", "kernels")
COMMON = (
    "-x cuda --cuda-device-only -nocudainc -nocudalib -O3 -std=c++20 -Wall -Wextra "
    "-Wno-unknown-cuda-version -S -o -"
).split()
# Kernel: compiler, first GPU that it is for, instruction set that old drivers take.
KERNELS = {
    "gather_bulk": ("clang-19", "sm_90", "ptx80"),
    "gather_plain": ("clang-14", "sm_70", "ptx63"),
}


def compile_kernel(name):
    compiler, gpu, instructions = KERNELS[name]
    command = [compiler, "--cuda-gpu-arch=" + gpu, "-Xclang", "-target-feature", "-Xclang",
               "+" + instructions] + COMMON + [name + ".cu"]
    done = subprocess.run(command, cwd=FOLDER, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    sys.stderr.write(done.stderr.decode(errors="replace"))
    if done.returncode != 0:
        sys.exit("%s does not compile %s.cu" % (compiler, name))
    return done.stdout


def check(name, write):
    """Whether it is as it should be; None: nobody can tell here."""
    compiler = KERNELS[name][0]
    if shutil.which(compiler) is None:
        print("skipped: %s.ptx is not compared, since %s is not installed" % (name, compiler))
        return None
    made, path = compile_kernel(name), os.path.join(FOLDER, name + ".ptx")
    if write:
        with open(path, "wb") as file:
            file.write(made)
    with open(path, "rb") as file:
        kept = file.read()
    print("%s.ptx: %s" % (name, "as kept" if made == kept else "DIFFERS"))
    return made == kept


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="make the PTX anew")
    arguments = parser.parse_args()
    results = [check(name, arguments.write) for name in sorted(KERNELS)]
    if False in results:
        print("run scripts/check_kernels.py --write and try it on a GPU: ./dev bench gpu")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
