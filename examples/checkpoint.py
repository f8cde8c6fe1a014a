#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a checkpoint to a file and reads it back, and says over which path.

    checkpoint.py FOLDER
"""

import sys

import nixl


def main(folder):
    weights = nixl.Buffer.allocate_host(64 << 20)
    store = nixl.FileBackend(folder)
    store.write("step-1/weights.bin", weights)  # replaced at once, durable on return

    copy = nixl.Buffer.allocate_host(weights.size)
    transfer = nixl.transfer(src=store.object("step-1/weights.bin"), dst=copy)
    print("%d bytes over %s" % (transfer.bytes_done, transfer.path))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "checkpoints")
