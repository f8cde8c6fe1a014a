#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the template backend outside of the tree against an installation, and loads it.

Proves: S-019
"""
import json
import os
import shutil
import sys
import tempfile

import tree
from staging import Cases, Staging, run

NAME = "template_backend"


def build_plugin(staging, folder):
    source = os.path.join(folder, "template")
    shutil.copytree(os.path.join(tree.ROOT, "backends", "template"), source)
    build = os.path.join(folder, "build")
    run(["meson", "setup", build, source, "-Dnixl_include=" + staging.headers, "-Dwerror=true"])
    run(["ninja", "-C", build])
    return build


def links_against_nothing_of_ours(plugin):
    undefined = run(["nm", "-D", "--undefined-only", plugin], quiet=True)
    ours = [line.split()[-1] for line in undefined.splitlines() if " nixl_" in line]
    assert not ours, "undefined: " + " ".join(ours)
    needed = run(["readelf", "-d", plugin], quiet=True)
    assert "libnixl" not in needed, "it is linked with libnixl"


def plugins_of(staging, folder):
    environment = {"NIXL_PLUGIN_DIR": folder}
    run([staging.program("nixl-info"), "--plugins"], environment)
    return json.loads(run([staging.program("nixl-info"), "--plugins", "--json"], environment))


def is_listed(staging, build):
    assert NAME in json.dumps(plugins_of(staging, build)), "nixl-info does not list it"


def broken_is_refused_with_a_reason(staging, folder):
    broken = os.path.join(folder, "broken")
    os.mkdir(broken)
    with open(os.path.join(broken, "libbroken.so"), "w") as file:
        file.write("this is no shared object\n")
    text = json.dumps(plugins_of(staging, broken))
    assert "libbroken.so" in text, "nixl-info does not name it"


def main():
    cases = Cases()
    with tempfile.TemporaryDirectory() as folder:
        staging = cases.run("install", Staging, "build", os.path.join(folder, "staging"))
        build = staging and cases.run("build", build_plugin, staging, folder)
        if build:
            plugin = os.path.join(build, NAME + ".so")
            cases.run("links against nothing of ours", links_against_nothing_of_ours, plugin)
            cases.run("loaded and listed", is_listed, staging, build)
            cases.run("broken one is refused", broken_is_refused_with_a_reason, staging, folder)
    return cases.finish()


if __name__ == "__main__":
    sys.exit(main())
