#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs measurements: each is a program of its own under tests/perf, named by its subject.

Builds into build/ first. Arguments after the subject go to the program. Results are kept in
build/bench/ with their date and machine; --write makes the pages of docs/performance of the last
ones.
"""
import argparse
import glob
import json
import os
import subprocess
import sys

import tree

FOLDER = os.path.join(tree.ROOT, "tests", "perf")
KEPT = os.path.join(tree.ROOT, "build", "bench")
PAGES = os.path.join(tree.ROOT, "docs", "performance")
GPU = "gpu"  # what the names of subjects that need one begin with; alone: all of those
PREFIX = "bench_"


def subjects():
    names = glob.glob(os.path.join(FOLDER, PREFIX + "*.py"))
    return sorted(os.path.basename(name)[len(PREFIX) : -3] for name in names)


def last_results(folder=None):
    """{subject: its last whole run}, as tests/perf/results.py keeps it in the folder."""
    found = {}
    for name in subjects():
        path = os.path.join(folder or KEPT, name + ".json")
        if os.path.exists(path):
            with open(path) as file:
                found[name] = json.load(file)
    return found


def machine_of(kept):
    """The machine that measured, as one line."""
    if "machine" not in kept:  # kept by a version that did not note it
        return "not noted; measure again"
    line = "%(cpu)s, %(cpus)d CPUs, %(memory_gib)d GiB, Linux %(kernel)s, %(file_system)s"
    return line % kept["machine"]


def page(title, results):
    """One table per subject, targets beside figures."""
    parts = [
        "# %s\n" % title,
        "Written by `./dev bench --write` from the last run of each subject. A figure is a ratio to"
        "\na raw baseline or a peer of the same run.\n",
    ]
    machines = {machine_of(kept) for kept in results.values()}
    if len(machines) == 1:
        parts.append("Machine: %s.\n" % machines.pop())
    for name, kept in results.items():
        parts.append("## %s\n" % name.replace(GPU + "_", "").capitalize())
        again = ["; %s again on %s" % item for item in sorted(kept.get("again", {}).items())]
        parts.append("`./dev bench %s`, %s: %s%s.\n"
                     % (name, kept["date"], kept["about"], "".join(again)))
        if machines:  # they differ
            parts.append("Machine: %s.\n" % machine_of(kept))
        rows = ["| work | target | figure | |", "|---|---|---|---|"]
        for row in kept["rows"]:
            rows.append("| %(work)s | %(target)s | %(figure)s | %(verdict)s |" % row)
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def write_pages():
    """One of the machine's own, and one for each sort of GPU that was measured."""
    pages = {"host": ("Performance on a machine without a GPU", last_results())}
    for folder in sorted(glob.glob(os.path.join(KEPT, "*", ""))):
        results = last_results(folder)
        if results:
            gpu = next(iter(results.values()))["gpu"]
            pages[os.path.basename(os.path.dirname(folder))] = ("Performance on " + gpu, results)
    for name, (title, results) in pages.items():
        if results:
            os.makedirs(PAGES, exist_ok=True)
            with open(os.path.join(PAGES, name + ".md"), "w") as file:
                file.write(page(title, results))
            print("wrote docs/performance/%s.md" % name)


def main():
    parser = argparse.ArgumentParser(
        prog="./dev bench",
        description=__doc__.split("\n")[0],
        epilog="subjects: %s; gpu: those that need one; without one, all of them"
        % " ".join(subjects()),
    )
    parser.add_argument("--write", action="store_true", help="write the pages of docs/performance")
    parser.add_argument(
        "subject", nargs="?", help='what to measure; "none": nothing, to --write what was kept'
    )
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="arguments of the measurement")
    arguments = parser.parse_args()
    if "--write" in arguments.rest:  # after the subject
        arguments.rest.remove("--write")
        arguments.write = True
    wanted = [arguments.subject] if arguments.subject else subjects()
    if arguments.subject == GPU:
        wanted = [name for name in subjects() if name.startswith(GPU)]
    if arguments.subject == "none" and arguments.write:
        wanted = []
    unknown = [name for name in wanted if name not in subjects()]
    if unknown:
        parser.error("no subject %s; there are: %s" % (unknown[0], " ".join(subjects())))
    if tree.BUNDLED and not all(name.startswith(GPU) for name in wanted):
        parser.error("a bundle measures GPUs alone: ./dev bench gpu")
    build = [os.path.join(tree.ROOT, "scripts", "build.sh")]
    if wanted and not tree.BUNDLED and subprocess.run(build).returncode != 0:
        return 1
    worst = 0
    for name in wanted:
        command = [sys.executable, os.path.join(FOLDER, PREFIX + name + ".py")] + arguments.rest
        worst = max(worst, subprocess.run(command, cwd=tree.ROOT).returncode)
    if arguments.write:
        write_pages()
    return worst


if __name__ == "__main__":
    sys.exit(main())
