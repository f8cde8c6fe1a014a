# SPDX-License-Identifier: Apache-2.0
"""Build backend of `pip install .`: meson-python, whose wheel is told to serve Python 3.8 and up.

The compiled calls keep to the stable ABI of 3.8; meson-python names the interpreter that builds.
"""

import os
import subprocess
import sys

import mesonpy
from mesonpy import build_sdist, get_requires_for_build_sdist  # noqa: F401


def get_requires_for_build_wheel(config_settings=None):
    return mesonpy.get_requires_for_build_wheel(config_settings) + ["wheel"]


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = mesonpy.build_wheel(wheel_directory, config_settings, metadata_directory)
    if "-abi3-" not in name:  # without the compiled calls any Python 3 will do
        return name
    command = [sys.executable, "-m", "wheel", "tags", "--remove", "--python-tag", "cp38",
               os.path.join(wheel_directory, name)]
    told = subprocess.run(command, stdout=subprocess.PIPE, check=True, universal_newlines=True)
    return os.path.basename(told.stdout.strip().split("\n")[-1])
