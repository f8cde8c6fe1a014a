# SPDX-License-Identifier: Apache-2.0
"""MemoryPool: buffers of it, its figures and its end. On simulated GPUs in a process of its own."""

import gc
import os
import threading
import unittest
import weakref

import nixl
from support import GPUS, Case, child


class Pool(Case):
    def test_buffers_are_ends_of_transfers(self):
        """Proves: S-106 S-107"""
        with nixl.MemoryPool(size=1 << 20, memory_type="host") as pool:
            self.assertEqual((pool.size, pool.memory_type, pool.device), (1 << 20, "host", "cpu"))
            data = [os.urandom(1 + 999 * i) for i in range(30)]
            buffers = [pool.allocate(len(part)) for part in data]
            for part, buffer in zip(data, buffers):
                nixl.transfer(src=part, dst=buffer)
            for part, buffer in zip(data, buffers):
                self.assertEqual(buffer.tobytes(), part)
                self.assertEqual(buffer._address % 256, 0)
            for buffer in buffers:
                buffer.free()

    def test_what_is_freed_is_taken_again(self):
        """Proves: S-107"""
        pool = nixl.MemoryPool(size=4096, memory_type="host")
        first = pool.allocate(4000)
        with self.assertRaises(nixl.OutOfMemoryError) as caught:
            pool.allocate(300)
        for part in ("4096 are used", "0 are free", "300"):
            self.assertIn(part, str(caught.exception))
        self.assertIsInstance(caught.exception, MemoryError)
        address = first._address
        first.free()
        self.assertEqual(pool.allocate(4096)._address, address)

    def test_stats(self):
        """Proves: S-108"""
        pool = nixl.MemoryPool(size=1 << 20, memory_type="host")
        self.assertEqual((pool.stats()["fragmentation"], pool.stats()["hit_rate"]), (0.0, 1.0))
        buffers = [pool.allocate(1 << 18) for _ in range(4)]
        with self.assertRaises(nixl.OutOfMemoryError):
            pool.allocate(1)
        del buffers[2], buffers[0]
        self.assertEqual(pool.stats(), {
            "size": 1 << 20, "used": 1 << 19, "free": 1 << 19, "peak": 1 << 20,
            "largest_free": 1 << 18, "buffers": 2, "allocations": 4, "refusals": 1,
            "fragmentation": 0.5, "hit_rate": 0.8})

    def test_odd_sizes_again_and_again_take_no_more_memory(self):
        """Proves: S-108"""
        pool = nixl.MemoryPool(size=1 << 20, memory_type="host")
        for i in range(5000):
            pool.allocate(1 + i * 7919 % 500000).free()
        self.assertEqual(pool.stats()["largest_free"], 1 << 20)
        self.assertEqual(pool.stats()["refusals"], 0)

    def test_end_of_a_pool(self):
        """Proves: S-109"""
        pool = nixl.MemoryPool(size=4096, memory_type="host")
        buffer = pool.allocate(100)
        with self.assertRaises(nixl.BusyError) as caught:
            pool.free()
        self.assertIn("1 buffer", str(caught.exception))
        buffer.free()
        pool.free()
        pool.free()
        with self.assertRaises(nixl.StaleError):
            pool.allocate(1)
        with self.assertRaises(nixl.StaleError):
            pool.stats()

    def test_a_block_that_fails_tells_its_own_error(self):
        """Proves: S-109"""
        with self.assertRaises(KeyError):
            with nixl.MemoryPool(size=4096, memory_type="host") as pool:
                kept = pool.allocate(100)
                raise KeyError("what went wrong")
        with self.assertRaises(nixl.BusyError):
            with nixl.MemoryPool(size=4096, memory_type="host") as other:
                kept_too = other.allocate(100)
        kept.free()
        kept_too.free()

    def test_buffers_and_arrays_keep_their_pool(self):
        """Proves: S-109"""
        pool = nixl.MemoryPool(size=4096, memory_type="host")
        alive = weakref.ref(pool)
        buffer = pool.allocate(8)
        nixl.transfer(src=b"whatever", dst=buffer)
        del pool
        gc.collect()
        self.assertIsNotNone(alive())
        self.assertEqual(buffer.tobytes(), b"whatever")
        del buffer
        gc.collect()
        self.assertIsNone(alive())

    def test_finalize_with_a_live_pool(self):
        """Proves: S-109 C-43"""
        pool = nixl.MemoryPool(size=4096, memory_type="host")
        buffer = pool.allocate(100)
        nixl.finalize()
        with self.assertRaises(nixl.StaleError):
            pool.allocate(1)
        pool.free()
        buffer.free()

    def test_what_is_no_pool(self):
        """Proves: S-106"""
        for wrong in (dict(size=0), dict(size=255), dict(size=4096, memory_type="gpu"),
                      dict(size=4096, memory_type="host", device_id=0)):
            with self.assertRaises(nixl.InvalidArgumentError, msg=wrong):
                nixl.MemoryPool(**dict({"memory_type": "host"}, **wrong))
        for wrong in (True, 1.5, "4096"):
            with self.assertRaises(TypeError):
                nixl.MemoryPool(size=wrong)
        with self.assertRaises(nixl.OutOfMemoryError) as caught:
            nixl.MemoryPool(size=1 << 50, memory_type="host")
        self.assertIn("are free", str(caught.exception))
        pool = nixl.MemoryPool(size=4096, memory_type="host")
        for wrong in (dict(size=0), dict(size=1, alignment=3)):
            with self.assertRaises(nixl.InvalidArgumentError):
                pool.allocate(**wrong)

    def test_default_size_is_the_setting(self):
        """Proves: S-106 S-033"""
        nixl.initialize(pool_size="2MB")
        self.assertEqual(nixl.MemoryPool(memory_type="host").size, 2 << 20)

    def test_pools_count_in_the_hit_rate(self):
        """Proves: S-119 C-21"""
        nixl.telemetry.enable()
        pool = nixl.MemoryPool(size=4096, memory_type="host")
        kept = [pool.allocate(1024) for _ in range(4)]
        with self.assertRaises(nixl.OutOfMemoryError):
            pool.allocate(1)
        self.assertEqual(nixl.telemetry.get_metrics()["cache_hit_rate"], 0.8)
        del kept

    def test_many_threads(self):
        """Proves: S-107"""
        pool = nixl.MemoryPool(size=8 << 20, memory_type="host")
        wrong = []

        def work(number):
            for i in range(100):
                with pool.allocate(1 + (number * 7919 + i * 104729) % 60000) as buffer:
                    nixl.transfer(src=bytes([number]) * len(buffer), dst=buffer)
                    if buffer.tobytes() != bytes([number]) * len(buffer):
                        wrong.append(number)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertEqual(pool.stats()["used"], 0)


class Kinds(unittest.TestCase):
    def run_code(self, code, environment):
        done = child("import nixl\n" + code, env=environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.split("\n")[:-1]

    def test_without_a_gpu_it_is_pinned(self):
        """Proves: C-23"""
        code = """
pool = nixl.MemoryPool(size=1 << 16)
print(pool.memory_type, pool.device)
try:
    nixl.MemoryPool(size=1 << 16, device_id=0)
except nixl.NIXLError as error:
    print(type(error).__name__)
"""
        if nixl.get_device_count() != 0:
            self.skipTest("this machine has a GPU")
        self.assertEqual(self.run_code(code, {"NIXL_SIM_GPUS": "0"}),
                         ["pinned cpu", "UnsupportedError"])

    def test_with_gpus_it_is_on_the_first(self):
        """Proves: C-23 S-106 S-107"""
        count = int(self.run_code("print(nixl.get_device_count())", GPUS)[0])
        if count == 0:
            self.skipTest("there is no GPU, and no simulated one is installed")
        lines = self.run_code("""
for options in ({}, {"device_id": nixl.get_device_count() - 1}, {"memory_type": "managed"},
                {"memory_type": "pinned"}):
    pool = nixl.MemoryPool(size=1 << 20, **options)
    buffers = [pool.allocate(1000 + i) for i in range(50)]
    for i, buffer in enumerate(buffers):
        nixl.transfer(src=bytes([i]) * buffer.size, dst=buffer)
    back = bytearray(1049)
    for i, buffer in enumerate(buffers):
        nixl.transfer(src=buffer, dst=back)
        assert back[:buffer.size] == bytes([i]) * buffer.size
    print(pool.memory_type, pool.device, buffers[0].device)
free = nixl.get_free_memory(device_id=0)
pool = nixl.MemoryPool(size=1 << 30)
print(free - nixl.get_free_memory(device_id=0))
pool.free()
print(free - nixl.get_free_memory(device_id=0))
try:
    nixl.MemoryPool(size=1 << 40)
except nixl.OutOfMemoryError as error:
    print(error)
""", GPUS)
        last = "cuda:%d" % (count - 1)
        self.assertEqual(lines[:4], ["device cuda:0 cuda:0", "device %s %s" % (last, last),
                                     "managed cuda:0 cuda:0", "pinned cpu cpu"])
        self.assertGreaterEqual(int(lines[4]), 1 << 30)
        self.assertEqual(lines[5], "0")
        self.assertIn("CUDA out of memory", lines[6])


if __name__ == "__main__":
    unittest.main()
