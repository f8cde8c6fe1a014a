# SPDX-License-Identifier: Apache-2.0
"""The public NIXL wheel in the shape of perf-files; prints the same JSON object.

    peer_files.py FILE randread|randwrite|read|write BLOCK_BYTES DEPTH DIRECT(0|1) SECONDS ENGINE
"""

import json
import os
import resource
import sys
import time

import numpy

from nixl._api import nixl_agent, nixl_agent_config

FILE_BYTES, PER_POST = 1 << 30, 64 << 20
IN_FLIGHT, ALIGNMENT = 2, 2 << 20


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def handles(agent, memory, fd, shape, block, depth):
    """One request per 64 MiB of the file, made before the time is taken."""
    count = PER_POST // block
    generator = numpy.random.default_rng(1)
    for part in range(FILE_BYTES // PER_POST):
        near = numpy.empty((count, 3), numpy.uint64)
        near[:, 0] = (memory.ctypes.data +
                      numpy.arange(count, dtype=numpy.uint64) % depth * block)
        near[:, 1], near[:, 2] = block, 0
        far = near.copy()
        far[:, 0] = (generator.integers(0, FILE_BYTES // block, count, dtype=numpy.uint64) * block
                     if shape.startswith("rand")
                     else part * PER_POST + numpy.arange(count, dtype=numpy.uint64) * block)
        far[:, 2] = fd
        yield agent.initialize_xfer("WRITE" if "write" in shape else "READ",
                                    agent.get_xfer_descs(near, "DRAM"),
                                    agent.get_xfer_descs(far, "FILE"), "a")


def post(agent, request):
    if agent.transfer(request) == "ERR":
        sys.exit("transfer was refused")


def wait(agent, request):
    state = agent.check_xfer_state(request)
    while state == "PROC":
        state = agent.check_xfer_state(request)
    if state != "DONE":
        sys.exit("transfer ended as " + state)


def main():
    path, shape, block, depth, direct, seconds, engine = sys.argv[1:]
    block, depth = int(block), int(depth)
    agent = nixl_agent("a", nixl_agent_config(backends=[]))
    # It has some thousands in flight otherwise. With this too it keeps more than it is told: some
    # 240 with io_uring, 100 to 200 with its other engine, at any depth from 16 to 64.
    parameters = {"kernel_queue_size": str(depth)}
    if engine != "default":
        parameters[engine] = "true"
    agent.create_backend("POSIX", parameters)
    room = numpy.zeros(depth * block + ALIGNMENT, numpy.uint8)
    memory = room[-room.ctypes.data % ALIGNMENT:][:depth * block]
    memory[:] = numpy.random.default_rng(2).integers(0, 256, memory.size, numpy.uint8)
    fd = os.open(path, os.O_RDWR | (os.O_DIRECT if direct == "1" else 0))
    agent.register_memory([(memory.ctypes.data, memory.size, 0, "")], "DRAM")
    agent.register_memory([(0, FILE_BYTES, fd, "")], "FILE")
    requests = list(handles(agent, memory, fd, shape, block, depth))
    posted, ended = 0, 0
    cpu, begin = cpu_seconds(), time.perf_counter()
    while time.perf_counter() - begin < float(seconds) or ended < posted:
        if posted - ended < IN_FLIGHT and time.perf_counter() - begin < float(seconds):
            post(agent, requests[posted % len(requests)])
            posted += 1
        else:
            wait(agent, requests[ended % len(requests)])
            ended += 1
    moved = posted * PER_POST
    print(json.dumps({"bytes": moved, "seconds": time.perf_counter() - begin,
                      "cpu_seconds": cpu_seconds() - cpu}), flush=True)
    os._exit(0)  # its destructors crash at exit in some versions


if __name__ == "__main__":
    main()
