#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs measurements: each is a program of its own under tests/perf, named by its subject.

Builds into build/ first. Arguments after the subject go to the program. Results are kept in
build/bench/; --write makes docs/performance/host.md of the last ones.
"""
import argparse
import glob
import json
import os
import platform
import subprocess
import sys

import tree

FOLDER = os.path.join(tree.ROOT, "tests", "perf")
KEPT = os.path.join(tree.ROOT, "build", "bench")
PAGE = os.path.join(tree.ROOT, "docs", "performance", "host.md")
PREFIX = "bench_"


def subjects():
    names = glob.glob(os.path.join(FOLDER, PREFIX + "*.py"))
    return sorted(os.path.basename(name)[len(PREFIX) : -3] for name in names)


def machine():
    """CPU, CPUs, memory, kernel and file system, as one line."""
    with open("/proc/cpuinfo") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    with open("/proc/meminfo") as file:
        gib = int(file.readline().split()[1]) / (1 << 20)
    folder = os.environ.get("TMPDIR", "/tmp")
    found = subprocess.run(["stat", "-f", "-c", "%T", folder], stdout=subprocess.PIPE)
    return "%s, %d CPUs, %.0f GiB, Linux %s, %s" % (
        models[0] if models else platform.machine(),
        os.cpu_count(),
        gib,
        platform.release(),
        found.stdout.decode().strip(),
    )


def page():
    """The page: one table per subject, targets beside figures."""
    parts = [
        "# Performance on a machine without a GPU\n",
        "Written by `./dev bench --write` from the last run of each subject. A figure is a ratio to"
        "\na raw baseline or a peer of the same run.\n",
        "Machine: %s.\n" % machine(),
    ]
    for name in subjects():
        path = os.path.join(KEPT, name + ".json")
        if not os.path.exists(path):
            continue
        with open(path) as file:
            kept = json.load(file)
        parts.append("## %s\n" % name.capitalize())
        parts.append("`./dev bench %s`, %s: %s.\n" % (name, kept["date"], kept["about"]))
        rows = ["| work | target | figure | |", "|---|---|---|---|"]
        for row in kept["rows"]:
            rows.append("| %(work)s | %(target)s | %(figure)s | %(verdict)s |" % row)
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def main():
    parser = argparse.ArgumentParser(
        prog="./dev bench",
        description=__doc__.split("\n")[0],
        epilog="subjects: %s; without one, all of them" % " ".join(subjects()),
    )
    parser.add_argument("--write", action="store_true", help="write docs/performance/host.md")
    parser.add_argument(
        "subject", nargs="?", help='what to measure; "none": nothing, to --write what was kept'
    )
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="arguments of the measurement")
    arguments = parser.parse_args()
    if "--write" in arguments.rest:  # after the subject
        arguments.rest.remove("--write")
        arguments.write = True
    wanted = [arguments.subject] if arguments.subject else subjects()
    if arguments.subject == "none" and arguments.write:
        wanted = []
    unknown = [name for name in wanted if name not in subjects()]
    if unknown:
        parser.error("no subject %s; there are: %s" % (unknown[0], " ".join(subjects())))
    if wanted and subprocess.run([os.path.join(tree.ROOT, "scripts", "build.sh")]).returncode != 0:
        return 1
    worst = 0
    for name in wanted:
        command = [sys.executable, os.path.join(FOLDER, PREFIX + name + ".py")] + arguments.rest
        worst = max(worst, subprocess.run(command, cwd=tree.ROOT).returncode)
    if arguments.write:
        os.makedirs(os.path.dirname(PAGE), exist_ok=True)
        with open(PAGE, "w") as file:
            file.write(page())
        print("wrote docs/performance/host.md")
    return worst


if __name__ == "__main__":
    sys.exit(main())
