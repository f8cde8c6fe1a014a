#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Several transfers in flight from asyncio code."""

import asyncio

import nixl


async def fill(target, value):
    source = bytes([value]) * len(target)
    return await nixl.transfer_async(source, target)


async def main():
    targets = [bytearray(1 << 20) for _ in range(8)]
    results = await asyncio.gather(*[fill(t, i) for i, t in enumerate(targets)])
    print(", ".join(str(status) for status in results))


if __name__ == "__main__":
    asyncio.run(main())
