#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the documents: generated pages are fresh, links lead somewhere, nothing names a machine.

--write brings generated pages up to date.

Proves: S-011 S-021 S-202 S-203 S-204 S-236
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

import tree

SETTINGS = "docs/settings.md"
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE_BLOCK = re.compile(r"^```.*?^```", re.M | re.S)
# Folders of whoever wrote a page, and names of package registries.
MACHINE = re.compile(
    r"(?<![\w/.])/(?:work|home|root|Users)/\w|\b(?:pypi|registry|proxy)\.[a-z.]+\.?\w+/"
)
# The names on public indexes belong to another project of the same name.
FOREIGN_INSTALL = re.compile(r"pip install (?:-U |--upgrade )?[\"']?nixl\b")
# Loose wording about related technologies; docs/glossary.md has the right one.
WRONG_WORDS = ("GDRCopy (GPUDirect RDMA)", "NVIDIA UCX", "GPUDirect RDMA (GDRCopy)", "NVIDIA's UCX")
GLOSSARY = ("UCX", "GDRCopy", "GPUDirect RDMA", "GPUDirect Storage", "etcd", "io_uring", "RDMA")
FOREIGN_CLONE = re.compile(r"git clone \S*ai-dynamo")
REQUIRED = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "STYLE.md", "LICENSE")


def settings_page():
    """The page as the table makes it now."""
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "settings_page")
        sources = ["scripts/settings_page.cpp", "src/config/table.cpp"]
        compile_it = ["g++", "-std=c++20", "-Isrc", "-Iinclude"] + sources + ["-o", program]
        subprocess.run(compile_it, cwd=tree.ROOT, check=True)
        return subprocess.run([program], check=True, stdout=subprocess.PIPE).stdout.decode()


def broken_links(name, text):
    for target in LINK.findall(CODE_BLOCK.sub("", text)):
        path = target.split("#", 1)[0]
        if not path or re.match(r"[a-z]+:", path):
            continue
        full = os.path.normpath(os.path.join(tree.ROOT, os.path.dirname(name), path))
        if not os.path.exists(full):
            yield "%s: link to %s, which is not there" % (name, target)


def line_problems(name, text):
    for number, line in enumerate(text.split("\n"), 1):
        if MACHINE.search(line):
            yield "%s:%d: names a machine's folder or a registry" % (name, number)
        if FOREIGN_CLONE.search(line):
            yield "%s:%d: would clone another project" % (name, number)
        if FOREIGN_INSTALL.search(line):
            yield "%s:%d: would install another project's package" % (name, number)


def missing_rates(texts):
    """Each GPU's page has what the specification names, at the rate that it names; the first is
    beyond what a PCIe link carries, so it is there beside the limit alone."""
    for name in sorted(texts):
        if not re.match(r"docs/performance/h\d+\.md", name):
            continue
        for work, least in (("host to GPU, 64 KiB", 0), ("host to GPU, 64 MiB", 40),
                            ("GPU to GPU, 1 GiB", 200)):
            row = re.search(r"(?m)^\| %s \|.*\d %% of raw.*; ([0-9.]+) GB/s" % work, texts[name])
            if not row or float(row.group(1)) < least:
                yield "%s: %s is missing, or below %d GB/s" % (name, work, least)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="write generated pages")
    arguments = parser.parse_args()
    page = settings_page()
    if arguments.write:
        with open(os.path.join(tree.ROOT, SETTINGS), "w", encoding="utf-8") as file:
            file.write(page)
    names = tree.files(".md")
    texts = {name: tree.read(name) for name in names}
    results = {
        "settings page": [SETTINGS + " is not fresh"] if texts.get(SETTINGS) != page else [],
        "links": [p for name in names for p in broken_links(name, texts[name])],
        "machines": [p for name in names for p in line_problems(name, texts[name])],
        "clone": [] if "git clone" in texts["README.md"] else ["README.md: no way to the sources"],
        "rates": list(missing_rates(texts)),
        "words": [
            "%s: %s" % (name, words) for name in names for words in WRONG_WORDS
            if words in texts[name]
        ],
        "glossary": [
            "docs/glossary.md does not explain %s" % word for word in GLOSSARY
            if "**%s**" % word not in texts.get("docs/glossary.md", "")
        ],
        "required": [
            "%s is missing" % name
            for name in REQUIRED
            if not os.path.isfile(os.path.join(tree.ROOT, name))
        ],
    }
    return tree.report(results)


if __name__ == "__main__":
    sys.exit(main())
