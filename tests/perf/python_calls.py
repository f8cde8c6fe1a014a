# SPDX-License-Identifier: Apache-2.0
"""Times of the Python package's calls, in this process; prints one JSON object. bench_python.py
runs it with the compiled calls and with ctypes alone (NIXL_PYTHON_HOT)."""

import json
import threading
import time

import numpy

import nixl

ROUNDS, REPEATS = 30, 2000
ROWS = 131072
BIG = 1 << 30


def best_us(call, repeats=REPEATS):
    """Microseconds of one call, best of ROUNDS."""
    best = float("inf")
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        for _ in range(repeats):
            call()
        best = min(best, (time.perf_counter() - begin) / repeats)
    return best * 1e6


def post_and_poll(prepared):
    transfer = prepared.post()
    while not transfer.done():
        pass


def counting_rate(seconds, until=None):
    """Rounds per second of a pure Python loop in this thread, for a time or until `until()`."""
    begin = now = time.perf_counter()
    rounds = 0
    while now - begin < seconds and not (until and until()):
        for _ in range(1000):
            rounds += 1
        now = time.perf_counter()
    return rounds / (now - begin)


def share_while_copying():
    """How fast another Python thread counts while this library copies, against counting alone."""
    source = nixl.Buffer.from_host(numpy.ones(BIG, numpy.uint8))
    target = nixl.Buffer.from_host(numpy.zeros(BIG, numpy.uint8))
    nixl.transfer(source, target)
    alone = counting_rate(0.5)
    over = threading.Event()

    def copy():
        for _ in range(4):
            nixl.transfer(source, target)
        over.set()

    thread = threading.Thread(target=copy)
    thread.start()
    rate = counting_rate(60, over.is_set)
    thread.join()
    return rate / alone


def main():
    source = nixl.Buffer.from_host(numpy.arange(64, dtype=numpy.uint8))
    target = nixl.Buffer.from_host(numpy.zeros(64, numpy.uint8))
    big = [nixl.Buffer.allocate_host(ROWS * 4096) for _ in range(2)]
    rows = numpy.empty((ROWS, 3), numpy.uint64)
    rows[:, 0] = rows[:, 1] = numpy.random.default_rng(1).permutation(ROWS) * 4096
    rows[:, 2] = 4096
    prepared = nixl.prepare(source, target)
    figures = {
        "transfer_us": best_us(lambda: nixl.transfer(source, target)),
        "post_poll_us": best_us(lambda: post_and_poll(prepared)),
        "prepare_us": best_us(lambda: nixl.prepare(big[0], big[1], rows), 1),
        "wrap_us": best_us(lambda: nixl.Buffer.from_host(rows).free()),
        "share_while_copying": share_while_copying(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
