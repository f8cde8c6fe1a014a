#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Files against fio (io_uring, same shape) and, where it is installed, the public NIXL wheel.

All of them use one preallocated file of 1 GiB, in turn. The wheel is looked for in the environment
of the Python named by NIXL_BENCH_PEER:
    python3 -m venv FOLDER && FOLDER/bin/pip install nixl numpy
    NIXL_BENCH_PEER=FOLDER/bin/python ./dev bench files
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

import results

FILE_BYTES = 1 << 30
DEPTH = 64
SHARE, CPU_SHARE = 0.97, 1.05
NARROW = 0.06  # an interval, high less low, that is enough to tell ...
MOST_TIMES = 4  # ... and how many times the rounds, at most, where the disk is restless
SHAPES = (("randread", 4096), ("randwrite", 4096), ("read", 1 << 20), ("write", 1 << 20))
HERE = os.path.dirname(os.path.abspath(__file__))


class Subject:
    """One of those that are compared: how to run it, and what its runs gave."""

    def __init__(self, name):
        self.name, self.rates, self.cpu = name, [], []

    def keep(self, total_bytes, seconds, cpu_seconds):
        self.rates.append(total_bytes / seconds / 1e9)
        self.cpu.append(cpu_seconds / (total_bytes / (1 << 30)))

    def text(self):
        return "%s %.2f GB/s, %.3f CPU s/GiB" % (self.name, statistics.median(self.rates),
                                                 statistics.median(self.cpu))


def run_ours(path, shape, block, direct, seconds):
    line = results.run_json([results.program("tests", "perf", "perf-files"), path, shape,
                             str(block), str(DEPTH), str(direct), str(seconds)])[0]
    return line["bytes"], line["seconds"], line["cpu_seconds"]


class Watch:
    """The CPU time of a program's children and all their threads, sampled while they run.

    fio's own figure leaves out the threads on which the kernel carries out what cannot go on
    without blocking, which is most of the work of cached writes; that of the program as a whole has
    its start in it, which takes longer than some shapes' work.
    """

    PERIOD_S = 0.02

    def __init__(self):
        self.nanoseconds = {}

    def goes_on(self, program):
        """Looks once, then waits for a period. False when the program has ended."""
        self.look(program.pid)
        try:
            program.wait(timeout=self.PERIOD_S)
        except subprocess.TimeoutExpired:
            return True
        return False

    def look(self, program):
        tasks = "/proc/%d/task/%d/children" % (program, program)
        try:
            with open(tasks) as file:
                children = file.read().split()
            for child in children:
                for thread in os.listdir("/proc/%s/task" % child):
                    with open("/proc/%s/task/%s/schedstat" % (child, thread)) as file:
                        self.nanoseconds[thread] = int(file.read().split()[0])
        except OSError:
            pass  # it has just ended

    def seconds(self):
        return sum(self.nanoseconds.values()) / 1e9


def run_fio(path, shape, block, direct, seconds):
    command = ["fio", "--name=x", "--filename=" + path, "--rw=" + shape, "--bs=%d" % block,
               "--size=1G", "--overwrite=1", "--ioengine=io_uring", "--iodepth=%d" % DEPTH,
               "--direct=%d" % direct, "--fixedbufs=1", "--registerfiles=1", "--invalidate=0",
               "--end_fsync=0", "--norandommap=1", "--randrepeat=0", "--time_based",
               "--gtod_reduce=1", "--runtime=%d" % seconds, "--output-format=json"]
    # Its memory in huge pages, like the others': a piece of 1 MiB in small ones is more segments
    # than many disks take in one request.
    environment = dict(os.environ, GLIBC_TUNABLES="glibc.malloc.hugetlb=1")
    with tempfile.TemporaryFile() as report:
        program = subprocess.Popen(command, stdout=report, env=environment)
        watch = Watch()
        while watch.goes_on(program):
            pass
        if program.returncode != 0:
            raise OSError("fio failed: %d" % program.returncode)
        report.seek(0)
        out = report.read().decode()
    job = json.loads(out[out.index("{"):])["jobs"][0]
    side = job["write" if "write" in shape else "read"]
    return side["io_bytes"], side["runtime"] / 1e3, watch.seconds()


def peer_runner(python, engine):
    def run(path, shape, block, direct, seconds):
        command = [python, os.path.join(HERE, "peer_files.py"), path, shape, str(block),
                   str(DEPTH), str(direct), str(seconds), engine]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        lines = [line for line in done.stdout.splitlines() if line.startswith(b"{")]
        if not lines:
            raise OSError("the peer failed: " + done.stderr.decode(errors="replace")[-300:])
        figures = json.loads(lines[-1])
        return figures["bytes"], figures["seconds"], figures["cpu_seconds"]

    return run


def settle(path, direct):
    """The same state before each run: written back, and in the page cache or not in it."""
    fd = os.open(path, os.O_RDWR)
    os.fsync(fd)
    if direct:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    else:
        with os.fdopen(os.dup(fd), "rb", buffering=0) as file:
            piece = bytearray(4 << 20)
            while file.readinto(piece):
                pass
    os.close(fd)


def better_peer(python, path):
    """The faster of the wheel's two engines in this shape; None when it cannot run."""
    best = None
    for engine in ("default", "use_uring"):
        run = peer_runner(python, engine)
        try:
            settle(path, 1)
            moved, seconds, _ = run(path, "randread", 4096, 1, 1)
        except OSError as error:
            print("  peer, %s: %s" % (engine, error))
            continue
        if best is None or moved / seconds > best[0]:
            best = (moved / seconds, "peer (%s)" % engine, run)
    return best and best[1:]


def rate_of_better(subjects):
    """The better of the others, and our rate beside its: median, low, high."""
    ours = subjects["nixl"]
    best = max((s for s in subjects.values() if s is not ours),
               key=lambda s: statistics.median(s.rates))
    return best, results.median_ratio(ours.rates, best.rates)


def compare(table, path, runners, shape, block, direct, rounds, seconds):
    """At least `rounds`, and as many times that until the interval is narrow enough to tell."""
    subjects = {name: Subject(name) for name, _ in runners}
    for done in range(1, MOST_TIMES * rounds + 1):
        for name, run in runners:
            settle(path, direct)
            subjects[name].keep(*run(path, shape, block, direct, seconds))
        runners = runners[1:] + runners[:1]  # who comes first finds the disk rested
        if done >= rounds:
            best, (ratio, low, high) = rate_of_better(subjects)
            if high - low <= NARROW:
                break
    ours, fio = subjects["nixl"], subjects["fio"]
    cpu, cpu_low, cpu_high = results.median_ratio(ours.cpu, fio.cpu)
    work = "%s of %s, %s" % (shape, "4 KiB" if block == 4096 else "1 MiB",
                             "direct" if direct else "cached")
    table.row(work + ": rate", ">= %.2f of the better" % SHARE,
              "%.3f of %s [%.3f, %.3f]%s" % (ratio, best.name, low, high, "" if done == rounds
                                             else ", %d runs" % done), ratio >= SHARE)
    table.row(work + ": CPU per GiB", "<= %.2f of fio's" % CPU_SHARE,
              "%.3f [%.3f, %.3f]" % (cpu, cpu_low, cpu_high), cpu <= CPU_SHARE)
    print("    " + "; ".join(subject.text() for subject in subjects.values()), flush=True)


def main():
    parser = results.arguments(__doc__.split("\n")[0])
    parser.add_argument("--folder", help="where the file is made (default: $TMPDIR)")
    parser.add_argument("--only", metavar="SHAPE", help="such as randread or write")
    options = parser.parse_args()
    if shutil.which("fio") is None:
        sys.exit("bench files: fio is not installed (./dev setup --test installs it)")
    rounds, seconds = (3, 1) if options.quick else (15, 3)
    table = results.Table("files", "one file of 1 GiB, depth %d; median of %d alternating runs of "
                          "%d s, with the interval of 95 %%" % (DEPTH, rounds, seconds))
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = os.path.join(folder, "file")
        with open(path, "wb") as file:
            for _ in range(FILE_BYTES >> 24):
                file.write(os.urandom(1 << 24))
        runners = [("nixl", run_ours), ("fio", run_fio)]
        python = os.environ.get("NIXL_BENCH_PEER")
        peer = better_peer(python, path) if python else None
        if peer:
            runners.append(peer)
        elif not python:
            print("  NIXL_BENCH_PEER is not set: without the public wheel")
        for direct in (1, 0):
            for shape, block in SHAPES:
                if not options.only or options.only == shape:
                    compare(table, path, runners, shape, block, direct, rounds, seconds)
    table.save()
    return table.code()


if __name__ == "__main__":
    sys.exit(main())
