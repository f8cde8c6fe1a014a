# SPDX-License-Identifier: Apache-2.0
"""Rows of measurements: what was done, the target, the figure, and whether it is met."""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build")
KEPT = os.path.join(BUILD, "bench")  # one file per subject, from its last run; a folder per GPU

GIVEN = argparse.Namespace()  # what the measurement was called with


def program(*parts):
    """The path of a built program."""
    return os.path.join(BUILD, *parts)


def run_json(command, **options):
    """Runs a program and reads the JSON objects that it prints, one per line."""
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, **options)
    return json_lines(done.stdout.decode())


def json_lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def python_with_numpy():
    """An interpreter with NumPy; the system's where the first has none."""
    for python in ("python3", "/usr/bin/python3"):
        probe = subprocess.run([python, "-c", "import numpy"], stderr=subprocess.DEVNULL)
        if probe.returncode == 0:
            return python
    sys.exit("bench: no python3 with NumPy (./dev setup --test installs it)")


def gpu_lines(name):
    """What a program that measures GPUs prints: the machine's object, and those of the rows as they
    come; None where there is nothing to measure, which it says."""
    lines = _objects_of(name)
    machine = next(lines, None)
    return None if machine is None else (machine, lines)


def _objects_of(name):
    with tempfile.TemporaryFile("w+") as errors:
        running = subprocess.Popen([program("tests", "perf", name)], stdout=subprocess.PIPE,
                                   stderr=errors, universal_newlines=True)
        for line in running.stdout:
            if line.startswith("{"):
                yield json.loads(line)
        running.wait()
        errors.seek(0)
        told = errors.read().strip()
    if running.returncode == 77:
        print("%s: nothing to measure: %s" % (name, told))
    elif running.returncode != 0:
        sys.exit("%s failed: %s" % (name, told))


def file_system(path):
    """The type of the file system that `path` is on, "ext4", as the kernel calls it.

    statfs(2) would not do: ext2, ext3 and ext4 have the same number there.
    """
    path = os.path.realpath(path)
    best, kind = "", "unknown"
    with open("/proc/self/mountinfo") as file:
        for line in file:
            before, after = line.split(" - ", 1)
            point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal.group(1), 8)),
                           before.split()[4])
            inside = path == point or path.startswith(point.rstrip("/") + "/")
            if inside and len(point) >= len(best):  # of two at one point the later one is seen
                best, kind = point, after.split()[0]
    return kind


def machine(folder=None):
    """What measures; `folder`: where scratch files are made, $TMPDIR when there is none."""
    with open("/proc/cpuinfo") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    with open("/proc/meminfo") as file:
        gib = round(int(file.readline().split()[1]) / (1 << 20))
    return {"cpu": models[0] if models else platform.machine(), "cpus": os.cpu_count(),
            "memory_gib": gib, "kernel": platform.release(),
            "file_system": file_system(folder or tempfile.gettempdir())}


def short_name(gpu):
    """"h200" of "NVIDIA H200": how files are called that are about it."""
    words = [word for word in re.findall(r"[a-z0-9]+", gpu.lower()) if word != "nvidia"]
    return words[0] if words else "gpu"


class Table:
    """The rows of one subject; printed as they come. `gpu`: the name of what it measures."""

    def __init__(self, subject, about, gpu=None):
        self.subject, self.about, self.gpu, self.rows = subject, about, gpu, []
        print("\n%s: %s" % (subject, about), flush=True)
        print("  %-58s %-22s %-34s" % ("work", "target", "figure"), flush=True)

    def row(self, work, target, figure, met=None):
        """met: whether the target is reached; None when there is none, or nothing to compare."""
        verdict = "" if met is None else "met" if met else "MISSED"
        self.rows.append({"work": work, "target": target, "figure": figure, "verdict": verdict})
        print("  %-58s %-22s %-34s %s" % (work, target, figure, verdict), flush=True)

    def save(self, done=True):
        """Keeps the rows for ./dev bench --write: in the place of all from before, or, where --only
        left some out, of the same ones. Until it is done they lie in a file beside that."""
        folder = KEPT if self.gpu is None else os.path.join(KEPT, short_name(self.gpu))
        path = os.path.join(folder, self.subject + (".json" if done else ".partial.json"))
        kept = {"subject": self.subject, "about": self.about, "rows": self.rows,
                "date": time.strftime("%Y-%m-%d"),
                "machine": machine(getattr(GIVEN, "folder", None))}
        if self.gpu is not None:
            kept["gpu"] = self.gpu
        only = getattr(GIVEN, "only", None)
        if only:
            kept = self._into_whole_run(path, only, kept)
        if kept is None:
            print("  not kept: --only leaves rows out, and there is no whole run of this sort and "
                  "machine that they would belong to")
            return
        os.makedirs(folder, exist_ok=True)
        with open(path, "w") as file:
            json.dump(kept, file, indent=1)

    @staticmethod
    def _into_whole_run(path, only, partial):
        whole = read_json(path) if os.path.exists(path) else {}
        fresh = {row["work"]: row for row in partial["rows"]}
        if (any(whole.get(key) != partial[key] for key in ("about", "machine"))
                or not fresh.keys() <= {row["work"] for row in whole["rows"]}):
            return None
        whole["rows"] = [fresh.get(row["work"], row) for row in whole["rows"]]
        whole.setdefault("again", {})[only] = partial["date"]
        return whole

    def code(self):
        return 1 if any(row["verdict"] == "MISSED" for row in self.rows) else 0


class Arguments(argparse.ArgumentParser):
    """Leaves in GIVEN what it has parsed: a table has to know how it was measured."""

    def parse_args(self, args=None, namespace=None):
        return super().parse_args(args, namespace or GIVEN)


def arguments(about):
    parser = Arguments(description=about)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, to try it out")
    return parser


def median_ratio(ours, others):
    """The median of the ratios of pairs, and the interval that holds it in 95 % of all cases: the
    order statistics of the sign test (n = 15: the 4th and the 12th)."""
    ratios = sorted(a / b for a, b in zip(ours, others))
    count = len(ratios)
    below, chance = 0, 0.5 ** count
    total = chance
    while total <= 0.025 and below < count // 2:
        below += 1
        chance = chance * (count - below + 1) / below
        total += chance
    low, high = max(below - 1, 0), count - 1 - max(below - 1, 0)
    return statistics.median(ratios), ratios[low], ratios[high]


def read_json(path):
    with open(path) as file:
        return json.load(file)
