# SPDX-License-Identifier: Apache-2.0
"""Allocators of one's own: what they serve, what they may refuse, and what they get back."""

import ctypes
import threading
import unittest

import nixl
from support import GPUS, Case, child


class Counting(nixl.Allocator):
    """Keeps book of what is out. Made without __init__, as users' are."""

    lock = threading.Lock()

    def allocate(self, size):
        if size == 1 << 20:
            return None
        if size >= 1 << 21:
            raise ZeroDivisionError("a bug of the allocator")
        memory = (ctypes.c_char * size)()
        with self.lock:
            self.__dict__.setdefault("out", {})[ctypes.addressof(memory)] = memory
            self.served = getattr(self, "served", 0) + 1
        return ctypes.addressof(memory)

    def free(self, ptr):
        with self.lock:
            del self.out[ptr]  # KeyError: twice, or never given


class Allocators(Case):
    _number = 0

    def use(self):
        """A new one under a new name, since names are for the process."""
        Allocators._number += 1
        allocator, name = Counting(), "counting%d" % Allocators._number
        nixl.register_allocator(name, allocator)
        nixl.configure(allocator=name)
        return allocator, name

    def test_serves_host_buffers_and_gets_them_back(self):
        """Proves: S-070 S-113 S-114 C-44"""
        mine, _name = self.use()
        with nixl.Buffer.allocate_host(size=1000) as buffer:
            self.assertIn(buffer._address, mine.out)
            self.assertEqual(buffer.tobytes(), bytes(1000))
            pinned = nixl.Buffer.allocate_host(size=1000, pinned=True)
            nixl.transfer(src=b"x" * 1000, dst=buffer)
            nixl.transfer(src=buffer, dst=pinned)
            self.assertEqual(pinned.tobytes(), b"x" * 1000)
            self.assertEqual(len(mine.out), 2)
        del pinned
        self.assertEqual((mine.out, mine.served), ({}, 2))

    def test_serves_staging_and_host_pools(self):
        """Proves: C-44"""
        mine, _name = self.use()
        nixl.configure(path_policy="allow")
        store = nixl.FileBackend(self.scratch())
        store.write("x", b"1234")
        nixl.transfer(store.object("x"), store.object("y"))
        self.assertEqual(mine.served, 1)
        pool = nixl.MemoryPool(size=1 << 16, memory_type="host")
        self.assertEqual(mine.served, 2)
        self.assertEqual(pool.allocate(100)._address % 256, 0)
        pool.free()
        nixl.finalize()
        self.assertEqual(mine.out, {})

    def test_memory_goes_back_to_where_it_came_from(self):
        """Proves: S-070 S-114"""
        first, name = self.use()
        of_first = nixl.Buffer.allocate_host(size=100)
        second, _name = self.use()
        of_second = nixl.Buffer.allocate_host(size=100)
        nixl.configure(allocator="default")
        nixl.Buffer.allocate_host(size=100).free()
        of_first.free()
        self.assertEqual((len(first.out), len(second.out)), (0, 1))
        nixl.register_allocator(name, first)  # the same once more is no error
        with self.assertRaises(nixl.AlreadyExistsError):
            nixl.register_allocator(name, second)
        of_second.free()

    def test_no_memory(self):
        """Proves: S-113"""
        _mine, name = self.use()
        with self.assertRaises(nixl.OutOfMemoryError) as caught:
            nixl.Buffer.allocate_host(size=1 << 20)
        self.assertIn("allocator %s has no memory for 1048576 bytes" % name, str(caught.exception))
        self.assertIsNone(caught.exception.__cause__)

    def test_an_exception_is_the_cause(self):
        """Proves: S-113"""
        self.use()
        for make in (lambda: nixl.Buffer.allocate_host(size=1 << 21),
                     lambda: nixl.MemoryPool(size=1 << 21, memory_type="host")):
            with self.assertRaises(nixl.OutOfMemoryError) as caught:
                make()
            self.assertIsInstance(caught.exception.__cause__, ZeroDivisionError)
        with self.assertRaises(nixl.OutOfMemoryError) as caught:
            nixl.Buffer.allocate_host(size=1 << 20)
        self.assertIsNone(caught.exception.__cause__)

    def test_what_is_no_address(self):
        """Proves: S-113"""
        class Odd(nixl.Allocator):
            def allocate(self, size):
                return self.answer

            def free(self, ptr):
                pass

        odd = Odd()
        Allocators._number += 1
        nixl.register_allocator("odd%d" % Allocators._number, odd)
        nixl.configure(allocator="odd%d" % Allocators._number)
        for answer, kind in ((1.5, TypeError), ("abc", TypeError), (-5, ValueError),
                             (1 << 70, ValueError), (ctypes.c_void_p(4096), TypeError)):
            odd.answer = answer
            with self.assertRaises(nixl.OutOfMemoryError, msg=answer) as caught:
                nixl.Buffer.allocate_host(size=100)
            self.assertIsInstance(caught.exception.__cause__, kind)

    def test_staging_that_is_refused(self):
        """Proves: S-113 C-44"""
        class Broken(Counting):
            def allocate(self, size):
                raise ZeroDivisionError("no staging")

        Allocators._number += 1
        name = "broken%d" % Allocators._number
        nixl.register_allocator(name, Broken())
        nixl.configure(allocator=name, path_policy="allow")
        store = nixl.FileBackend(self.scratch())
        store.write("x", b"1234")
        for call in (nixl.transfer, nixl.transfer_async, nixl.Pipeline().transfer):
            with self.assertRaises(nixl.OutOfMemoryError) as caught:
                call(store.object("x"), store.object("y"))
            self.assertIn("allocator " + name, str(caught.exception))
            self.assertIsInstance(caught.exception.__cause__, ZeroDivisionError)
        with self.assertRaises(nixl.InvalidArgumentError) as caught:
            nixl.Buffer.allocate_host(size=0)
        self.assertIsNone(caught.exception.__cause__)

    def test_one_that_sleeps_in_many_threads(self):
        """Proves: S-113"""
        class Slow(Counting):
            def allocate(self, size):
                threading.Event().wait(0.01)  # others take the interpreter's lock meanwhile
                return Counting.allocate(self, size)

        slow = Slow()
        Allocators._number += 1
        nixl.register_allocator("slow%d" % Allocators._number, slow)
        nixl.configure(allocator="slow%d" % Allocators._number, path_policy="allow")
        store = nixl.FileBackend(self.scratch())
        store.write("x", bytes(1000))

        def work(number):
            target = bytearray(1000)
            for i in range(20):
                nixl.transfer(src=store.object("x"), dst=store.object("y%d" % number))
                nixl.transfer(src=bytes([i]) * 1000, dst=target)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        nixl.finalize()
        self.assertEqual(slow.out, {})

    def test_it_is_kept_alive_and_known_to_later_contexts(self):
        """Proves: S-113 S-114"""
        mine, name = self.use()
        served = mine.served = 0
        del mine
        nixl.finalize()
        nixl.initialize(allocator=name)
        buffer = nixl.Buffer.allocate_host(size=100)
        self.assertEqual(nixl._runtime.allocators[name][0].served, served + 1)
        buffer.free()

    def test_first_uses_at_once_know_it(self):
        """Proves: S-114"""
        mine, name = self.use()
        for _ in range(30):
            nixl.finalize()
            nixl.configure(allocator=name)
            start, failed = threading.Barrier(4), []

            def work():
                start.wait()
                try:
                    nixl.Buffer.allocate_host(size=10).free()
                except nixl.NIXLError as error:
                    failed.append(error)

            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(failed, [])
        self.assertEqual((mine.out, mine.served), ({}, 120))

    def test_many_threads(self):
        """Proves: S-113"""
        mine, _name = self.use()

        def work():
            for size in range(1, 60):
                nixl.transfer(src=b"1" * size, dst=nixl.Buffer.allocate_host(size=size))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((mine.out, mine.served), ({}, 8 * 59))

    def test_what_is_no_allocator(self):
        """Proves: S-070 S-114"""
        class Half(nixl.Allocator):
            def allocate(self, size):
                return 0

        class Odd(Counting):
            memory_type = "disk"

        for wrong in (object(), Half(), Counting, None):
            with self.assertRaises(TypeError):
                nixl.register_allocator("wrong", wrong)
        with self.assertRaises(TypeError):
            nixl.register_allocator(7, Counting())
        with self.assertRaises(nixl.InvalidArgumentError):
            nixl.register_allocator("wrong", Odd())
        for name in ("", "default"):
            with self.assertRaises(nixl.InvalidArgumentError):
                nixl.register_allocator(name, Counting())
        _mine, name = self.use()
        with self.assertRaises(nixl.NotFoundError) as caught:
            nixl.configure(allocator="wrong")
        self.assertIn(name, str(caught.exception))  # among those that there are

    def test_registering_opens_nothing(self):
        done = child("""
import nixl
class Mine(nixl.Allocator):
    def allocate(self, size): return 0
    def free(self, ptr): pass
nixl.register_allocator("mine", Mine())
nixl.configure(allocator="mine")
nixl.initialize(buffer_size="1MB")
try:
    nixl.Buffer.allocate_host(100)
except nixl.OutOfMemoryError as error:
    print("mine" in str(error))
""")
        self.assertEqual((done.stdout, done.returncode), ("True\n", 0), done.stderr)

    def test_device_memory(self):
        """Proves: C-44"""
        done = child("""
import nixl
if nixl.get_device_count() == 0:
    print("none")
    raise SystemExit
real, out = nixl.MemoryPool(size=1 << 20), {}
class OnDevice(nixl.Allocator):
    memory_type = "device"
    def allocate(self, size):
        return next(iter(out), 0)
    def free(self, ptr):
        del out[ptr]
class Wrong(OnDevice):
    memory_type = "host"
nixl.register_allocator("device", OnDevice())
nixl.register_allocator("wrong", Wrong())
block = real.allocate(1000)
nixl.transfer(src=b"x" * 1000, dst=block)
out[block._address] = None
nixl.configure(allocator="device")
buffer, back = nixl.Buffer.allocate_device(size=1000), bytearray(1000)
nixl.transfer(src=buffer, dst=back)
print(buffer._address == block._address, back == bytes(1000))
nixl.Buffer.allocate_host(size=100)  # the library's own
buffer.free()
print(out)
out[block._address] = None
nixl.configure(allocator="wrong")
try:
    nixl.Buffer.allocate_host(size=1000)
except nixl.InvalidArgumentError as error:
    print(error)
print(out)
""", env=GPUS)
        lines = done.stdout.splitlines()
        if lines == ["none"]:
            self.skipTest("the simulated GPU driver is not installed")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(lines[:2], ["True True", "{}"])
        self.assertIn("allocator wrong", lines[2])
        self.assertIn("device memory, not host memory", lines[2])
        self.assertEqual(lines[3], "{}")


if __name__ == "__main__":
    unittest.main()
