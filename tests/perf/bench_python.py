#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Python package: calls with and without the compiled extension, import, idle context."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import results

sys.path.insert(0, os.path.join(results.ROOT, "scripts"))
from staging import Staging  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
PAIRS = 21
IDLE = """
import json, os, time
def read(name):
    text = open("/proc/self/status").read()
    return int(text.split(name + ":")[1].split()[0])
def switches():
    return sum(int(open("/proc/self/task/%s/status" % t).read().split("voluntary_ctxt_switches:")[1]
                   .split()[0]) for t in os.listdir("/proc/self/task") if int(t) != os.getpid())
before = read("VmRSS")
import nixl
imported = read("Threads")
nixl.initialize()
opened = read("Threads")
rss = read("VmRSS") - before
if USED:
    a, b = nixl.Buffer.allocate_host(64 << 20), nixl.Buffer.allocate_host(64 << 20)
    nixl.transfer_async(a, b).wait()
    a.free(); b.free(); nixl.gc()
time.sleep(1)  # allow(sleep): workers go to rest, then two seconds are watched
begin = switches(); cpu = time.process_time()
time.sleep(2)  # allow(sleep): what happens while nothing is asked for
print(json.dumps({"imported": imported, "opened": opened, "rss_kib": rss,
                  "switches": switches() - begin, "cpu_s": time.process_time() - cpu}))
"""


def calls(table, python, environment):
    compiled, plain = (
        results.run_json([python, os.path.join(HERE, "python_calls.py")],
                         env=dict(environment, NIXL_PYTHON_HOT=hot))[0]
        for hot in ("1", "0")
    )
    for key, work, target, limit in (
        ("transfer_us", "transfer() of 64 bytes", "<= 3 us", 3),
        ("post_poll_us", "post and poll of a prepared transfer", "<= 1 us", 1),
        ("prepare_us", "prepare of an N x 3 array, N = 131,072", "<= 3 ms", 3000),
        ("wrap_us", "Buffer.from_host(array).free()", "", None),
    ):
        table.row(work, target, "%.2f us (ctypes alone %.2f)" % (compiled[key], plain[key]),
                  limit and compiled[key] <= limit)
    share = compiled["share_while_copying"]
    table.row("Python thread counting while 1 GiB is copied", "the GIL is free",
              "%.0f %% of its lone rate" % (100 * share), share > 0.2)


def imports(table, python, environment):
    times = {"pass": [], "import nixl": []}
    for _ in range(PAIRS):
        for code, kept in times.items():
            begin = time.perf_counter()
            subprocess.run([python, "-c", code], env=environment, check=True)
            kept.append(1000 * (time.perf_counter() - begin))
    extra = statistics.median(b - a for a, b in zip(times["pass"], times["import nixl"]))
    table.row("import nixl beyond python3 -c pass (21 pairs)", "<= 50 ms", "%.1f ms" % extra,
              extra <= 50)


def idle(table, python, environment):
    def run(used):
        code = IDLE.replace("USED", str(used))
        return json.loads(subprocess.run([python, "-c", code], env=environment, check=True,
                                         stdout=subprocess.PIPE).stdout)

    fresh, used = run(False), run(True)
    table.row("threads after import nixl", "1", str(fresh["imported"]), fresh["imported"] == 1)
    table.row("threads of an open context before first use, beside main", "<= 2",
              str(fresh["opened"] - 1), fresh["opened"] - 1 <= 2)
    table.row("resident memory of import and context", "<= 16 MiB",
              "%.1f MiB" % (fresh["rss_kib"] / 1024), fresh["rss_kib"] <= 16 << 10)
    table.row("wake-ups of an idle context in 2 s, unused", "0", str(fresh["switches"]),
              fresh["switches"] == 0)
    table.row("the same after 64 MiB were copied", "0", str(used["switches"]),
              used["switches"] == 0)


def main():
    results.arguments(__doc__).parse_args()
    table = results.Table("python", "Python calls, import, an idle context")
    python = results.python_with_numpy()
    with tempfile.TemporaryDirectory() as folder:
        installed = Staging("build", folder)
        environment = dict(os.environ, PYTHONPATH=installed.python_folder())
        calls(table, python, environment)
        imports(table, python, environment)
        idle(table, python, environment)
    table.save()
    return table.code()


if __name__ == "__main__":
    sys.exit(main())
