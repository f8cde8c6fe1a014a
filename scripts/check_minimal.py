#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds, installs and uses the library as if only meson, ninja, cmake and g++ were installed.

Every library that pkg-config could find is hidden, so what needs one must switch itself off.

Proves: S-004 S-005 S-006 S-007 S-010
"""
import os
import shutil
import sys
import tempfile

import tree
from staging import Cases, Staging, run

BUILD = "build-minimal"
HIDDEN = {"PKG_CONFIG_LIBDIR": "/nonexistent", "PKG_CONFIG_PATH": "", "CMAKE_PREFIX_PATH": ""}


def configure():
    shutil.rmtree(os.path.join(tree.ROOT, BUILD), ignore_errors=True)
    text = run(["meson", "setup", BUILD], HIDDEN)
    assert "liburing" in text, "the summary does not name what is off"


def build():
    text = run(["ninja", "-C", BUILD], HIDDEN)
    warnings = [line for line in text.splitlines() if "warning:" in line]
    assert not warnings, warnings[0]


def build_again_does_nothing():
    text = run(["ninja", "-C", BUILD], HIDDEN)
    assert "no work to do" in text, "ninja found work to do"


def installed_files(staging):
    for path in (
        os.path.join(staging.headers, "nixl", "nixl.h"),
        os.path.join(staging.headers, "nixl", "nixl_c.h"),
        os.path.join(staging.headers, "nixl", "backend.h"),
        os.path.join(staging.headers, "nixl", "sdk", "table.hpp"),
        os.path.join(staging.libraries, "libnixl.so"),
        os.path.join(staging.libraries, "pkgconfig", "nixl.pc"),
        staging.program("nixlbench"),
        staging.program("nixl-info"),
    ):
        assert os.path.exists(path), path[len(staging.root):] + " is missing"
    assert staging.prefix == staging.root + "/usr/local", staging.prefix
    assert os.path.basename(staging.libraries) == "lib", staging.libraries


def import_prints_the_version(staging):
    folder = staging.python_folder()
    assert folder, "the Python package is not installed"
    environment = {"PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
    code = "import nixl; print(nixl.__version__)"
    text = run([sys.executable, "-c", code], environment, folder="/")
    info = run([staging.program("nixl-info"), "--version"])
    assert text.strip().startswith("0.1."), text
    assert text.strip() in info, "nixl-info --version says " + info


def benchmark_runs(staging):
    text = run([staging.program("nixlbench"), "--mode", "p2p", "--size", "64MB"])
    assert "Transfer size: 64.00 MB" in text, "unexpected output"


def wipe():
    run(["meson", "setup", BUILD, "--wipe"], HIDDEN)


def main():
    cases = Cases()
    cases.run("configure", configure)
    cases.run("build without warnings", build)
    if not cases.failed:
        cases.run("building again does nothing", build_again_does_nothing)
        with tempfile.TemporaryDirectory() as folder:
            staging = cases.run("install", Staging, BUILD, folder)
            if staging:
                cases.run("files are in place", installed_files, staging)
                cases.run("import prints the version", import_prints_the_version, staging)
                cases.run("nixlbench runs", benchmark_runs, staging)
        cases.run("wipe and configure again", wipe)
    return cases.finish()


if __name__ == "__main__":
    sys.exit(main())
