# SPDX-License-Identifier: Apache-2.0
"""Times of Python calls that prepare and post many blocks of GPU memory, in this process; prints a
JSON object. bench_gpu_calls.py runs it. Contents are compared after every shape."""

import json
import statistics
import time

import numpy

import nixl

BLOCKS, BLOCK = 65536, 4096
LAYERS, SHORT = 100, 256  # of the strided shape: LAYERS * BLOCKS pieces of SHORT bytes
ROUNDS = 21


def median_us(call, after=lambda made: None):
    """Median microseconds of one call; what it made goes to `after`, outside the time."""
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        made = call()
        times.append(time.perf_counter() - begin)
        after(made)
    return statistics.median(times) * 1e6


def buffers(source_bytes, target_bytes):
    """GPU 0's, filled, the last GPU's, cleared, and what was filled in."""
    words = numpy.arange(source_bytes // 4, dtype=numpy.uint32) * numpy.uint32(2654435761)
    source = nixl.Buffer.allocate_device(source_bytes, device_id=0)
    target = nixl.Buffer.allocate_device(target_bytes,
                                         device_id=nixl.get_device_count() - 1)
    nixl.transfer(nixl.Buffer.from_host(words), source)
    nixl.transfer(nixl.Buffer.from_host(numpy.zeros(target_bytes, numpy.uint8)), target)
    return source, target, words


def contents(buffer):
    result = numpy.empty(buffer.size, numpy.uint8)
    nixl.transfer(buffer, nixl.Buffer.from_host(result))
    return result


def listed():
    """65,536 shuffled blocks: prepared from NumPy, then posted by indices."""
    source, target, words = buffers(BLOCKS * BLOCK, BLOCKS * BLOCK)
    shuffle = numpy.random.default_rng(1).permutation
    rows = numpy.empty((BLOCKS, 3), numpy.uint64)
    rows[:, 0], rows[:, 1], rows[:, 2] = shuffle(BLOCKS) * BLOCK, shuffle(BLOCKS) * BLOCK, BLOCK
    figures = {"prepare_us": median_us(lambda: nixl.prepare(source, target, rows))}
    prepared = nixl.prepare(source, target, rows)
    order = shuffle(BLOCKS).astype(numpy.uint32)
    begin = time.perf_counter()
    prepared.post(order, target_indices=order).wait()
    figures["first_post_us"] = (time.perf_counter() - begin) * 1e6
    figures["post_us"] = median_us(
        lambda: prepared.post(order, target_indices=order),
        lambda transfer: transfer.wait())
    expected = numpy.empty((BLOCKS, BLOCK), numpy.uint8)
    expected[rows[:, 1] // BLOCK] = words.view(numpy.uint8).reshape(BLOCKS, -1)[rows[:, 0] // BLOCK]
    figures["listed_right"] = bool(numpy.array_equal(contents(target), expected.ravel()))
    return figures


def strided():
    """6.5 million short blocks as LAYERS runs, each prepared and posted."""
    pieces = LAYERS * BLOCKS
    source, target, words = buffers(2 * pieces * SHORT, pieces * SHORT)
    runs = numpy.array([[2 * layer * BLOCKS * SHORT, layer * BLOCKS * SHORT, SHORT, 2 * SHORT,
                         SHORT, BLOCKS] for layer in range(LAYERS)], numpy.uint64)
    whole = []

    def post():
        prepared = nixl.prepare(source, target, runs)
        return prepared, prepared.post(), time.perf_counter()

    def finish(made):
        made[1].wait()
        whole.append(time.perf_counter() - made[2])

    figures = {"strided_us": median_us(post, finish)}
    figures["strided_whole_us"] = statistics.median(whole) * 1e6
    expected = words.view(numpy.uint8).reshape(pieces, 2 * SHORT)[:, :SHORT]
    figures["strided_right"] = bool(numpy.array_equal(contents(target).reshape(pieces, SHORT),
                                                      expected))
    return figures


def main():
    figures = listed()
    nixl.gc()
    figures.update(strided())
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
