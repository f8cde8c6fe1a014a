# SPDX-License-Identifier: Apache-2.0
"""Prints where the Python package is to be installed for a prefix, for the build.

    python_dir.py PREFIX

Line 1: the folder. Line 2: the interpreter that finds it without any variable, or nothing. Asked
are the `python3` of the caller's PATH and then the system's: the first that has a folder under
PREFIX on its own path wins, as the package must be importable right after the installation.
"""

import os
import shutil
import subprocess
import sys

ASK = """
import sys, sysconfig
print("%d.%d" % sys.version_info[:2])
print("\\n".join(path for path in sys.path if path.endswith(("site-packages", "dist-packages"))))
"""


def folders_of(python):
    """The version and the package folders of an interpreter that is started in isolation."""
    answer = subprocess.run(
        [python, "-I", "-c", ASK], stdout=subprocess.PIPE, timeout=60, check=True)
    lines = answer.stdout.decode().split("\n")
    return lines[0], [line for line in lines[1:] if line]


def main():
    prefix = os.path.normpath(sys.argv[1])
    version = "%d.%d" % sys.version_info[:2]
    candidates = dict.fromkeys(filter(None, (shutil.which("python3"), "/usr/bin/python3")))
    for python in candidates:
        try:
            found, folders = folders_of(python)
        except (OSError, subprocess.SubprocessError):
            continue
        if python == next(iter(candidates)):
            version = found
        for folder in folders:
            if os.path.commonpath([prefix, os.path.normpath(folder)]) == prefix:
                print(folder)
                print(python)
                return
    print(os.path.join(prefix, "lib", "python" + version, "site-packages"))
    print()


main()
