#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Moves scattered blocks of a KV cache into one contiguous buffer: prepared once, posted often."""

from array import array

import nixl

BLOCK_BYTES, BLOCKS = 4096, 1024


def main():
    cache = nixl.Buffer.allocate_host(BLOCK_BYTES * BLOCKS)
    packed = nixl.Buffer.allocate_host(BLOCK_BYTES * BLOCKS)
    # One strided run of 1,024 elements: block i of the cache to place i.
    prepared = nixl.prepare(
        cache, packed, [(0, 0, BLOCK_BYTES, BLOCK_BYTES, BLOCK_BYTES, BLOCKS)])

    wanted = array("I", range(0, BLOCKS, 7))  # what one request of a model needs
    places = array("I", range(len(wanted)))
    transfer = prepared.post(wanted, target_indices=places)
    transfer.wait()
    transfer.raise_if_failed()
    print("%d blocks, %d bytes, over %s" % (len(wanted), transfer.bytes_done, transfer.path))


if __name__ == "__main__":
    main()
