#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Configures a build folder with tests required, or reconfigures it, and builds it."""

import argparse
import os
import subprocess
import sys

import tree


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--target", action="append", default=[], help="build only this")
    arguments, options = parser.parse_known_args()
    options = ["-Dtests=enabled"] + options
    if os.path.exists(os.path.join(tree.ROOT, arguments.folder, "build.ninja")):
        configure = ["meson", "configure", arguments.folder] + options
    else:
        configure = ["meson", "setup", arguments.folder] + options
    # A cache hit in any checkout: paths in debugging information do not matter to these builds.
    environment = dict(os.environ, CCACHE_NOHASHDIR="1")
    for command in (configure, ["ninja", "-C", arguments.folder] + arguments.target):
        print("$ " + " ".join(command), flush=True)
        code = subprocess.run(command, cwd=tree.ROOT, env=environment).returncode
        if code != 0:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
