#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions of the library itself per GPU transfer (post and poll), beyond the driver's, counted
by callgrind on simulated GPUs; and its heap allocations, of which there are none.

Exit 0 when the limit holds, 1 when not, 77 when it cannot be counted here. On a busy machine events
come late, and looks that are in vain would be counted: it is tried again then.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

LIMIT = 2000
COUNT = 40
TRIES = 10


def run(command):
    environment = dict(os.environ, NIXL_SIM_GPUS="1")
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, env=environment)


def own_cost(path, library):
    """The instructions of the functions of one library, without those that they called.

    The format: https://valgrind.org/docs/manual/cl-format.html. Names are given once with a number,
    later by the number alone; the line after "calls=" is the cost of the call.
    """
    names, current, total, is_call = {}, "", 0, False
    with open(path) as file:
        for line in file:
            found = re.match(r"ob=\((\d+)\)(?: (.*))?$", line)
            if found:
                if found.group(2):
                    names[found.group(1)] = found.group(2)
                current = names.get(found.group(1), "")
            elif line.startswith("cob="):
                found = re.match(r"cob=\((\d+)\)(?: (.*))?$", line)
                if found.group(2):
                    names[found.group(1)] = found.group(2)
            elif line.startswith("calls="):
                is_call = True
            elif re.match(r"[\d+*-]", line):
                if not is_call and library in os.path.basename(current):
                    total += int(line.split()[1])
                is_call = False
    return total


def instructions(program, count):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        done = run(["valgrind", "--tool=callgrind", "--toggle-collect=measured_gpu_post",
                    "--toggle-collect=measured_gpu_poll", "--callgrind-out-file=" + out, program,
                    "loop", str(count)])
        if done.returncode != 0:
            sys.exit("valgrind failed:\n" + done.stdout)
        told = json.loads(next(line for line in done.stdout.splitlines() if line[:1] == "{"))
        return own_cost(out, "libnixl.so") if told["polls"] == told["transfers"] else None


def main():
    program, compiler, buildtype = sys.argv[1:4]
    counted = run([program])
    print(counted.stdout, end="")
    if counted.returncode == 77 or shutil.which("valgrind") is None:
        print("SKIP: valgrind or the simulated GPU driver is not installed")
        return 77
    if counted.returncode != 0:
        print("a transfer allocates, after the first ones")
        return 1
    # Of two counts, so that what happens only once is left out.
    counts = [next(filter(None, (instructions(program, n) for _ in range(TRIES))), None)
              for n in (COUNT, 2 * COUNT)]
    if None in counts:
        print("SKIP: the machine is too busy: looks in vain in each of %d tries" % TRIES)
        return 77
    each = (counts[1] - counts[0]) // COUNT
    gated = compiler == "gcc" and buildtype == "release"
    print("%d instructions of libnixl per GPU transfer of one element, limit %d%s"
          % (each, LIMIT, "" if gated else " (not gated: of GCC's release build)"))
    return 0 if 0 < each <= LIMIT or not gated else 1


if __name__ == "__main__":
    sys.exit(main())
