#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds, installs and uses the library as if only meson, ninja, cmake and g++ were installed.

What else there is is hidden, in a mount namespace where that is permitted, else from pkg-config
alone; so what needs it must switch itself off.

Proves: S-004 S-005 S-006 S-007 S-008 S-009 S-010 S-014 S-016 S-230
"""
import os
import shutil
import subprocess
import sys
import tempfile

import tree
from staging import CannotRun, Cases, Staging, run

BUILD = "build-minimal"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HIDDEN = {"PKG_CONFIG_LIBDIR": "/nonexistent", "PKG_CONFIG_PATH": "", "CMAKE_PREFIX_PATH": "",
          "PATH": SYSTEM_PATH}
# Package -> option, line of the summary, and the files without which it is absent.
OPTIONAL = {
    "liburing-dev": (
        "io_uring", "io_uring", "include/liburing* lib/*/liburing* lib/*/pkgconfig/liburing*"),
    "libgtest-dev": (
        "tests", "tests", "include/gtest include/gmock src/googletest src/gtest src/gmock "
        "lib/*/libgtest* lib/*/libgmock* lib/*/pkgconfig/g[tm]* lib/*/cmake/GTest"),
    "python3-dev": (
        "python_extension", "compiled calls", "include/python3* include/*/python3* "
        "lib/*/pkgconfig/python*"),
}
NAMESPACE = """
mount -t tmpfs tmpfs /mnt
mkdir /mnt/usr /mnt/work
mount -t overlay overlay -o lowerdir=/usr,upperdir=/mnt/usr,workdir=/mnt/work /usr || exit 77
(cd /usr && rm -rf $0)
exec "$@"
"""


def without(packages, command):
    """The command in a system where these are not installed."""
    files = " ".join(OPTIONAL[package][2] for package in packages)
    return ["unshare", "-m", "sh", "-ec", NAMESPACE, files] + command


def can_hide():
    probe = subprocess.run(without([], ["true"]), stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    return probe.returncode == 0


def run_minimal(command):
    """With only the four packages."""
    return run(without(OPTIONAL, command) if can_hide() else command, HIDDEN)


def configure():
    shutil.rmtree(os.path.join(tree.ROOT, BUILD), ignore_errors=True)
    return run_minimal(["meson", "setup", BUILD])


def summary_names_packages(text):
    for package in OPTIONAL if can_hide() else ["liburing-dev"]:
        assert package in text, "the summary does not name " + package


def each_absent_alone():
    if not can_hide():
        raise CannotRun("overlay mounts are not permitted")
    for package, (_, line, _) in OPTIONAL.items():
        with tempfile.TemporaryDirectory() as folder:
            text = run(without([package], ["meson", "setup", folder]), {"PATH": SYSTEM_PATH},
                       quiet=True)
        assert package in text, "the summary does not name " + package
        for other in OPTIONAL:
            assert other == package or other not in text, "%s is off without %s" % (other, package)


def asked_for_and_absent():
    """An error of the configuration names the package."""
    for package, (option, _, _) in OPTIONAL.items():
        if package != "liburing-dev" and not can_hide():
            raise CannotRun("overlay mounts are not permitted")
        command = ["meson", "setup", "-D%s=enabled" % option]
        with tempfile.TemporaryDirectory() as folder:
            command.append(folder)
            done = subprocess.run(
                without([package], command) if can_hide() else command, cwd=tree.ROOT,
                env=dict(os.environ, **HIDDEN), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        text = done.stdout.decode(errors="replace")
        errors = [line for line in text.splitlines() if "ERROR" in line]
        assert done.returncode != 0, "-D%s=enabled was accepted" % option
        assert any(package in line for line in errors), "%s: %s" % (package, errors)


def cuda_home_that_is_not_there():
    """It is told, and nothing of a toolkit is looked for."""
    with tempfile.TemporaryDirectory() as folder:
        text = run(["meson", "setup", folder], dict(HIDDEN, CUDA_HOME="/nonexistent/cuda"),
                   quiet=True)
    assert "CUDA_HOME is /nonexistent/cuda, and there is no such folder" in text, text


def no_driver_is_linked(staging):
    """GPU memory is there, and no library of CUDA's is needed to start."""
    library = os.path.join(staging.libraries, "libnixl.so")
    needed = run(["readelf", "-d", library], quiet=True)
    assert "NEEDED" in needed and "cuda" not in needed, needed


def build():
    text = run_minimal(["ninja", "-C", BUILD])
    warnings = [line for line in text.splitlines() if "warning:" in line]
    assert not warnings, warnings[0]


def build_again_does_nothing():
    text = run_minimal(["ninja", "-C", BUILD])
    assert "no work to do" in text, "ninja found work to do"


def installed_files(staging):
    for path in (
        os.path.join(staging.headers, "nixl", "nixl.h"),
        os.path.join(staging.headers, "nixl", "nixl_c.h"),
        os.path.join(staging.headers, "nixl", "backend.h"),
        os.path.join(staging.headers, "nixl", "sdk", "table.hpp"),
        os.path.join(staging.libraries, "libnixl.so"),
        os.path.join(staging.libraries, "nixl", "libnixl-simcuda.so"),
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


def really_install():
    """The README's install command, in a mount namespace that writes to a copy of the system."""
    program = "#include <nixl/nixl.h>\nint main() { nixl::initialize(); nixl::finalize(); }\n"
    script = """
        mount -t tmpfs tmpfs /mnt
        mkdir -p /mnt/local /mnt/local-work /mnt/etc /mnt/etc-work
        overlay() { mount -t overlay overlay -o lowerdir=$1,upperdir=$2,workdir=$2-work "$1"; }
        overlay /usr/local /mnt/local && overlay /etc /mnt/etc || exit 77
        ninja -C %s install
        cd /
        unset PYTHONPATH LD_LIBRARY_PATH
        /usr/bin/python3 -c 'import nixl; print("imported", nixl.__version__)'
        /usr/local/bin/nixlbench --mode p2p --size 1MB --iterations 3
        printf '%%s' '%s' >/mnt/program.cpp
        g++ -std=c++17 -Wall -Wextra -Werror -pedantic /mnt/program.cpp -o /mnt/program -lnixl
        /mnt/program
    """ % (BUILD, program)
    probe = subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL)
    if probe.returncode != 0:
        raise CannotRun("a mount namespace needs root")
    done = subprocess.run(["unshare", "-m", "sh", "-ec", script], cwd=tree.ROOT)
    if done.returncode == 77:
        raise CannotRun("overlay mounts are not permitted")
    assert done.returncode == 0, "exit code %d" % done.returncode


def wipe():
    run_minimal(["meson", "setup", BUILD, "--wipe"])


def main():
    cases = Cases()
    if not can_hide():
        print("overlay mounts are not permitted: Python's headers and googletest are not hidden")
    cases.run("an option that cannot be met names its package", asked_for_and_absent)
    cases.run("each optional part absent alone", each_absent_alone)
    cases.run("a CUDA_HOME that is not there", cuda_home_that_is_not_there)
    text = cases.run("configure", configure)
    cases.run("build without warnings", build)
    if not cases.failed:
        cases.run("summary names packages", summary_names_packages, text)
        cases.run("building again does nothing", build_again_does_nothing)
        with tempfile.TemporaryDirectory() as folder:
            staging = cases.run("install", Staging, BUILD, folder)
            if staging:
                cases.run("files are in place", installed_files, staging)
                cases.run("no driver is linked", no_driver_is_linked, staging)
                cases.run("import prints the version", import_prints_the_version, staging)
                cases.run("nixlbench runs", benchmark_runs, staging)
        cases.run("installed for real", really_install)
        cases.run("wipe and configure again", wipe)
    return cases.finish()


if __name__ == "__main__":
    sys.exit(main())
