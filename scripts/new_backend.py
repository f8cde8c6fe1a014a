#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Starts a backend: a copy of backends/template under another name, ready to build as a plug-in."""
import argparse
import os
import re
import sys

import tree

TEMPLATE = os.path.join(tree.ROOT, "backends", "template")
NAME = re.compile(r"[a-z][a-z0-9_]{0,30}$")


def renamed(text, name):
    pascal = "".join(part.capitalize() for part in name.split("_"))
    return text.replace("template_backend", name).replace("TemplateBackend", pascal + "Backend")


def main():
    parser = argparse.ArgumentParser(prog="./dev new-backend", description=__doc__)
    parser.add_argument("name", help="[a-z][a-z0-9_]*, at most 31 characters")
    parser.add_argument("--folder", help="where to put it (default: backends/NAME)")
    arguments = parser.parse_args()
    name = arguments.name
    if not NAME.match(name):
        parser.error("a backend's name is [a-z][a-z0-9_]*, at most 31 characters")
    folder = os.path.abspath(arguments.folder or os.path.join(tree.ROOT, "backends", name))
    if os.path.exists(folder):
        sys.exit("new-backend: %s is there already" % folder)
    for source, folders, names in os.walk(TEMPLATE):
        folders[:] = [entry for entry in folders if not entry.startswith("build")]
        target = os.path.join(folder, os.path.relpath(source, TEMPLATE))
        os.makedirs(target, exist_ok=True)
        for entry in names:
            with open(os.path.join(source, entry), encoding="utf-8") as file:
                text = file.read()
            with open(os.path.join(target, renamed(entry, name)), "w", encoding="utf-8") as file:
                file.write(renamed(text, name))
    where = os.path.relpath(folder)
    print("new backend in %s; next:" % where)
    print("  cd %s && meson setup build && ninja -C build" % where)
    print("  NIXL_PLUGIN_DIR=$PWD/build nixl-info --plugins")
    return 0


if __name__ == "__main__":
    sys.exit(main())
