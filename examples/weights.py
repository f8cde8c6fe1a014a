#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Loads files into buffers of one pool, on the GPU where there is one: memory is reserved once, and
each file is read and copied on in pieces that overlap."""

import tempfile

import nixl

TENSORS = {"embedding": 3 << 20, "attention": 5 << 20, "head": (1 << 20) + 100}


def main():
    nixl.configure(path_policy="allow")  # a file reaches a GPU through host memory: we know
    with tempfile.TemporaryDirectory() as folder, nixl.MemoryPool(size=16 << 20) as pool:
        store, pipeline = nixl.FileBackend(folder), nixl.Pipeline(stages=4, chunk_size=1 << 20)
        for number, (name, size) in enumerate(TENSORS.items()):
            store.write(name, bytes([number + 1]) * size)
            with pool.allocate(size) as tensor:
                path = pipeline.transfer(src=store.object(name), dst=tensor).path
                back = bytearray(size)
                nixl.transfer(src=tensor, dst=back)
                assert back == bytes([number + 1]) * size
                print("%-10s %8d bytes on %s over %s" % (name, size, tensor.device, path))
        print("%(peak)d of %(size)d bytes were used at one time" % pool.stats())


if __name__ == "__main__":
    main()
