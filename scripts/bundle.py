#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes one archive that runs on a machine with nothing but libc and Python.

It holds an installation (programs, library, headers, Python package), the tests and measurements,
and ./dev for `./dev test --gpu` and `./dev bench gpu`. libstdc++, liburing and googletest are
linked into what needs them; a GPU's driver is found at run time.
"""

import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import tarfile

import tree

BUILD = "build-bundle"
# Theirs is linked in, so that the machine needs none.
OPTIONS = ["-Dtests=enabled", "-Dio_uring=enabled", "-Dc_link_args=-static-libgcc",
           "-Dcpp_link_args=-static-libgcc -static-libstdc++", "-Dprefix=/usr/local",
           "-Dpython=enabled", "-Dpython_extension=enabled", "-Dpython_dir=lib/python"]
SCRIPTS = ("dev", "scripts/bench.py", "scripts/check_gpu.py",
           "scripts/check_gpu_python.py", "scripts/count_cases.py", "scripts/run_steps.py",
           "scripts/staging.py", "scripts/steps.py", "scripts/tree.py", "tests/perf/*.py",
           "tests/python/*.py", "tests/seed/*.py", "tests/support/*.py", "LICENSE")
# As in a checkout, so that the same scripts find them.
PROGRAMS = ("src/libnixl.so.*", "simcuda/libnixl-simcuda.so", "tools/nixlbench", "tools/nixl-info",
            "tools/nixl-demo", "tests/unit/cuda-unit-tests",
            "tests/conformance/backend-conformance", "tests/conformance/library-conformance",
            "tests/perf/perf-gpu", "tests/perf/perf-gather")
LIBC = re.compile(r"^(libc|libm|libdl|libpthread|librt|ld-linux[-\w]*)\.so\.\d+$")
MOST_MIB = 40
README = """nixl {version} ({commit}), {machine}
Needs Linux, glibc {glibc} or later, Python 3.8 or later, and for GPUs their driver.

  install/bin/nixl-info       what this machine has
  install/bin/nixlbench       measurements of single paths
  ./dev test --gpu            the tests on this machine's GPUs; logs in build/test-logs. With
                              NIXL_TEST_SPECIFICATION=FILE also the specification's examples
  ./dev bench gpu             copies and scattered blocks beside the raw limits; kept in build/bench

A program uses install/include, install/lib and -lnixl (pkg-config --define-prefix); Python uses
PYTHONPATH={python}.
"""


def run(command, **options):
    print("$ " + " ".join(command), flush=True)
    subprocess.run(command, check=True, cwd=tree.ROOT, **options)


def text_of(*command):
    return subprocess.run(command, check=True, cwd=tree.ROOT,
                          stdout=subprocess.PIPE).stdout.decode()


def build():
    fresh = not os.path.exists(os.path.join(tree.ROOT, BUILD, "build.ninja"))
    run(["meson", "setup" if fresh else "configure", BUILD] + OPTIONS)
    run(["ninja", "-C", BUILD])


def copy(patterns, source, target):
    """Files below `source` to the same places below `target`."""
    for pattern in patterns:
        found = [name for name in glob.glob(os.path.join(source, pattern))
                 if os.path.isfile(name)]
        if not found:
            sys.exit("bundle: there is no %s in %s" % (pattern, source))
        for name in found:
            path = os.path.join(target, os.path.relpath(name, source))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            shutil.copy2(name, path, follow_symlinks=False)


def commit():
    if not shutil.which("git") or not os.path.exists(os.path.join(tree.ROOT, ".git")):
        return "not of a checkout"
    return text_of("git", "describe", "--always", "--dirty").strip()


def binaries(folder):
    for where, _folders, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            if os.path.islink(path):
                continue
            with open(path, "rb") as file:
                if file.read(4) == b"\x7fELF":
                    yield path


def glibc_of(paths):
    """The oldest glibc that runs them all; ends when one needs more than libc."""
    newest = (0, 0)
    for path in paths:
        dynamic = text_of("readelf", "-d", path)
        for needed in re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic):
            if not LIBC.match(needed) and not needed.startswith("libnixl.so."):
                sys.exit("bundle: %s needs %s" % (path, needed))
        for version in re.findall(r"GLIBC_(\d+)\.(\d+)", text_of("readelf", "-V", path)):
            newest = max(newest, tuple(map(int, version)))
    return "%d.%d" % newest


def fill(folder, version):
    """Puts everything into the folder that becomes the archive."""
    stage = os.path.join(tree.ROOT, BUILD, "stage")
    shutil.rmtree(stage, ignore_errors=True)
    run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", stage],
        stdout=subprocess.DEVNULL)
    shutil.copytree(os.path.join(stage, "usr", "local"), os.path.join(folder, "install"),
                    symlinks=True)
    copy(SCRIPTS, tree.ROOT, folder)
    copy(PROGRAMS, os.path.join(tree.ROOT, BUILD), os.path.join(folder, "build"))
    found = list(binaries(folder))
    run(["strip", "--strip-unneeded"] + found)
    package = next(os.path.dirname(name) for name in glob.glob(
        os.path.join(folder, "install", "**", "nixl", "__init__.py"), recursive=True))
    about = README.format(
        version=version, commit=commit(),
        machine=os.uname().machine, glibc=glibc_of(found),
        python=os.path.relpath(os.path.dirname(package), folder))
    with open(os.path.join(folder, tree.BUNDLE), "w") as file:
        file.write(about)
    return about


def main():
    parser = argparse.ArgumentParser(
        prog="./dev bundle", description=__doc__.split("\n\n")[0],
        epilog=__doc__.split("\n\n", 1)[1], formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", help="the archive; by default in dist/")
    arguments = parser.parse_args()
    version = re.search(r"version: '([^']+)'", tree.read("meson.build")).group(1)
    name = "nixl-%s-linux-%s" % (version, os.uname().machine)
    archive = os.path.abspath(arguments.file or os.path.join(
        tree.ROOT, "dist", name + ".tar.xz"))
    build()
    folder = os.path.join(tree.ROOT, BUILD, name)
    shutil.rmtree(folder, ignore_errors=True)
    about = fill(folder, version)
    os.makedirs(os.path.dirname(archive), exist_ok=True)
    print("packing", flush=True)
    with tarfile.open(archive, "w:xz") as tar:
        tar.add(folder, name)
    mib = os.path.getsize(archive) / (1 << 20)
    print("\n%s\n%s: %.1f MiB" % (about, archive, mib))
    if mib > MOST_MIB:
        sys.exit("bundle: more than %d MiB" % MOST_MIB)


if __name__ == "__main__":
    main()
