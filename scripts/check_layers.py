#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when a file includes what layers.toml does not allow, or when the layers form a cycle."""

import argparse
import os
import re
import sys

import tree

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)
ENTRY = re.compile(r'^"?([A-Za-z0-9_./-]+)"?\s*=\s*\[(.*)\]$')
# Folders that #include lines start from, besides the file's own.
SEARCH = ("src", "include", "backends", "tests", "tests/support", "tools", "")


def read_layers(text):
    """{folder: [folders it may include]} from lines "folder" = ["a", "b"]; lists may span lines."""
    layers, pending = {}, ""
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split("#", 1)[0].strip()
        if not line or line == "[layers]":
            continue
        pending = (pending + " " + line).strip()
        if pending.count("[") > pending.count("]"):
            continue
        match = ENTRY.match(pending)
        if not match:
            raise ValueError('layers.toml:%d: expected "folder" = ["folder", ...]' % number)
        names = [name.strip().strip('"') for name in match.group(2).split(",") if name.strip()]
        layers[match.group(1)] = names
        pending = ""
    if pending:
        raise ValueError("layers.toml: a list is not closed")
    return layers


def layer_of(path, layers):
    """The longest folder of `layers` that holds `path`; None when there is none."""
    folder = os.path.dirname(path)
    while folder:
        if folder in layers:
            return folder
        folder = os.path.dirname(folder)
    return None


def find_cycle(layers):
    state = {}

    def visit(name, trail):
        if state.get(name) == "done":
            return None
        if name in trail:
            return trail[trail.index(name) :] + [name]
        for other in layers.get(name, []):
            cycle = visit(other, trail + [name])
            if cycle:
                return cycle
        state[name] = "done"
        return None

    for name in layers:
        cycle = visit(name, [])
        if cycle:
            return cycle
    return None


def resolve(name, quoted, includer, known):
    """The repository's file that an #include means; None for the system's."""
    own = os.path.normpath(os.path.join(os.path.dirname(includer), name))
    if quoted and own in known:
        return own
    for folder in SEARCH:
        path = os.path.normpath(os.path.join(folder, name))
        if path in known:
            return path
    return None


def problems_of(names, layers, read):
    """One line per wrong include; `read` gives a file's text."""
    known = set(names)
    problems = []
    for name in names:
        layer = layer_of(name, layers)
        if layer is None:
            problems.append("%s: its folder is not in layers.toml" % name)
            continue
        for match in INCLUDE.finditer(tree.blank_c(read(name), keep_strings=True)):
            target = resolve(match.group(2), match.group(1) == '"', name, known)
            if target is None:
                if match.group(1) == '"':
                    problems.append('%s: #include "%s" is no file here' % (name, match.group(2)))
                continue
            other = layer_of(target, layers)
            if other != layer and other not in layers[layer]:
                problems.append(
                    "%s: %s may not include %s (%s)" % (name, layer, other, match.group(2))
                )
    return problems


def main():
    argparse.ArgumentParser(description=__doc__).parse_args()
    try:
        layers = read_layers(tree.read("layers.toml"))
    except ValueError as error:
        print(error)
        return 1
    problems = []
    for name, allowed in layers.items():
        problems += [
            "layers.toml: %s names %s, which has no line" % (name, other)
            for other in allowed
            if other not in layers
        ]
    cycle = find_cycle(layers)
    if cycle:
        problems.append("layers.toml: cycle " + " -> ".join(cycle))
    names = tree.files(*tree.CODE)
    problems += problems_of(names, layers, tree.read)
    print("\n".join(problems + ["layers: %d files, %d problems" % (len(names), len(problems))]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
