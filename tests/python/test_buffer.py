# SPDX-License-Identifier: Apache-2.0
"""Buffers: what can be wrapped, what is copied, what is kept alive, what is given back."""

import array
import gc
import mmap
import os
import unittest
import weakref

import nixl
from support import Case, has_torch, needs_numpy, numpy, open_descriptors, resident_bytes


class Wrapping(Case):
    def test_every_kind_of_bytes(self):
        """Proves: S-074"""
        plain = bytes(range(48))
        anonymous = mmap.mmap(-1, 48)
        anonymous[:] = plain
        for data in (
            plain,
            bytearray(plain),
            memoryview(plain),
            array.array("d", plain),
            anonymous,
        ):
            with self.subTest(kind=type(data).__name__):
                buffer = nixl.Buffer.from_host(data)
                target = bytearray(48)
                nixl.transfer(buffer, target)
                self.assertEqual((buffer.size, target), (48, plain))
                buffer.free()

    def test_is_an_alias_not_a_copy(self):
        """Proves: C-29 S-074"""
        data = bytearray(b"before")
        buffer = nixl.Buffer.from_host(data)
        data[:] = b"after!"
        target = bytearray(6)

        nixl.transfer(buffer, target)

        self.assertEqual(target, b"after!")

    def test_keeps_the_owner_alive_and_lets_it_go(self):
        """Proves: S-074 S-083"""

        class Owner(bytearray):
            pass

        data = Owner(16)
        alive = weakref.ref(data)
        buffer = nixl.Buffer.from_host(data)
        del data
        gc.collect()
        self.assertIsNotNone(alive())

        buffer.free()
        gc.collect()
        self.assertIsNone(alive())

    def test_read_only_is_refused_as_a_destination(self):
        """Proves: S-074 S-093"""
        for data in (b"1234", memoryview(b"1234")):
            buffer = nixl.Buffer.from_host(data)
            self.assertTrue(buffer.is_read_only)
            with self.assertRaises(PermissionError) as caught:
                nixl.transfer(b"abcd", buffer)
            self.assertIsInstance(caught.exception, nixl.NIXLError)
            self.assertEqual(bytes(data), b"1234")

    def test_nothing_at_all(self):
        """Proves: S-074 S-092"""
        source, target = nixl.Buffer.from_host(b""), nixl.Buffer.from_host(bytearray())

        self.assertEqual((source.size, nixl.transfer(source, target).status),
                         (0, nixl.TransferStatus.SUCCESS))

    def test_memory_is_what_is_needed(self):
        """Proves: S-074"""
        for thing in (12, "text", object()):
            with self.assertRaises(TypeError):
                nixl.Buffer.from_host(thing)

    def test_a_noncontiguous_view_is_a_copied_source_with_a_warning(self):
        """Proves: S-074"""
        view = memoryview(bytearray(range(20)))[::2]
        with self.assertLogs("nixl", "WARNING"):
            buffer = nixl.Buffer.from_host(view)
        target = bytearray(10)
        nixl.transfer(buffer, target)

        self.assertEqual(target, bytes(range(0, 20, 2)))
        with self.assertRaises(nixl.PermissionDeniedError):
            nixl.transfer(bytes(10), buffer)

    def test_pinned_host_memory(self):
        """Proves: S-075"""
        data = bytearray(1 << 16)
        first = nixl.Buffer.from_host(data, pinned=True)
        second = nixl.Buffer.from_host(data, pinned=True)

        self.assertIsInstance(first.is_pinned, bool)
        first.free()
        self.assertFalse(first.is_pinned)
        second.free()

    def test_pinned_memory_is_locked_in_place_until_it_is_freed(self):
        """Proves: S-075"""
        import resource
        size = 1 << 20
        limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
        if os.geteuid() != 0 and 0 <= limit < 4 * size:
            self.skipTest("the limit of locked memory is %d bytes" % limit)
        with mmap.mmap(-1, size) as data:
            before = locked_bytes()
            buffer = nixl.Buffer.from_host(data, pinned=True)
            self.assertEqual(locked_bytes() - before, size)
            self.assertTrue(buffer.is_pinned)
            nixl.transfer(b"in place", buffer)
            self.assertEqual(data[:8], b"in place")
            buffer.free()
            self.assertEqual(locked_bytes(), before)
            self.assertFalse(nixl.Buffer.from_host(bytearray(8)).is_pinned)
            del buffer

    def test_size_is_a_number_of_bytes(self):
        """Proves: S-082"""
        store = nixl.FileBackend(self.scratch())
        store.write("x", b"12345")
        for thing, size in ((nixl.Buffer.from_host(b"123"), 3), (nixl.Buffer.from_host(b""), 0),
                            (nixl.Buffer.from_host(array.array("d", [1, 2])), 16),
                            (nixl.Buffer.allocate_host(4097), 4097), (store.object("x"), 5)):
            self.assertIs(type(thing.size), int)
            self.assertEqual(thing.size, size)
        with self.assertRaises(AttributeError):
            nixl.Buffer.from_host(b"1").size = 2

    def test_cannot_be_made_directly(self):
        with self.assertRaises(TypeError):
            nixl.Buffer(b"x")


@needs_numpy
class NumPy(Case):
    def test_size_type_and_shape(self):
        """Proves: S-074 S-080"""
        for data in (numpy.zeros((3, 4), "f4"), numpy.zeros(5, ">i8"), numpy.array(7.0),
                     numpy.zeros(0), numpy.zeros((2, 2), "c16"), numpy.zeros(3, "?")):
            with self.subTest(data=data.dtype.str):
                buffer = nixl.Buffer.from_numpy(data)
                self.assertEqual((buffer.size, buffer.shape), (data.nbytes, data.shape))
                back = buffer.to_numpy()
                self.assertEqual((back.dtype, back.shape), (data.dtype, data.shape))

    def test_dates_structures_and_texts_keep_their_bytes(self):
        """Proves: S-080"""
        for data in (numpy.array(["2024-01-01", "1970-01-01"], "M8[ns]"),
                     numpy.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]), numpy.array(["ab", "c"])):
            target = bytearray(data.nbytes)
            nixl.transfer(data, target)
            self.assertEqual(target, data.tobytes())

    def test_arrays_of_objects_are_refused(self):
        """Proves: S-074"""
        with self.assertRaises(ValueError):
            nixl.Buffer.from_numpy(numpy.array([None, {}], object))

    def test_every_type_goes_there_and_back(self):
        """Proves: S-080"""
        for kind in "bBhHiIlLqQefdFD?":
            with self.subTest(kind=kind):
                data = (numpy.arange(60) % 2).astype(kind).reshape(3, 20)
                target = nixl.Buffer.allocate_host(data.nbytes)
                nixl.transfer(data, target)
                numpy.testing.assert_array_equal(target.to_numpy(), data)
                self.assertEqual(target.to_numpy().dtype, data.dtype)

    def test_type_and_shape_travel_to_a_buffer_of_the_same_size(self):
        """Proves: C-28"""
        data = numpy.arange(24.0).reshape(2, 3, 4)
        same, larger = nixl.Buffer.allocate_host(data.nbytes), nixl.Buffer.allocate_host(1000)

        nixl.transfer(data, same)
        nixl.transfer(data, larger)

        self.assertEqual((same.dtype, same.shape), ("<f8", (2, 3, 4)))
        self.assertEqual((larger.dtype, larger.shape), (None, None))
        self.assertEqual(larger.to_numpy().dtype, numpy.uint8)

    def test_type_and_shape_can_be_chosen(self):
        """Proves: C-28"""
        buffer = nixl.Buffer.from_numpy(numpy.arange(6, dtype="u4"))

        self.assertEqual(buffer.to_numpy(dtype="u2").shape, (12,))
        self.assertEqual(buffer.to_numpy(shape=(2, 3)).tolist(), [[0, 1, 2], [3, 4, 5]])
        with self.assertRaises(ValueError):
            buffer.to_numpy(shape=(4, 2))

    def test_column_major_arrays_are_aliased_in_their_order(self):
        """Proves: S-074"""
        data = numpy.asfortranarray(numpy.arange(12.0).reshape(3, 4))
        target = nixl.Buffer.allocate_host(data.nbytes)

        nixl.transfer(data, target)

        numpy.testing.assert_array_equal(target.to_numpy(), data)

    def test_noncontiguous_is_a_source_only(self):
        """Proves: S-074"""
        data = numpy.arange(20.0).reshape(4, 5)[:, ::2]
        target = nixl.Buffer.allocate_host(data.size * 8)
        with self.assertLogs("nixl", "WARNING"):
            nixl.transfer(data, target)
        numpy.testing.assert_array_equal(target.to_numpy(), data)
        with self.assertLogs("nixl", "WARNING"), self.assertRaises(nixl.PermissionDeniedError):
            nixl.transfer(bytes(8), data)

    def test_read_only_array(self):
        """Proves: S-074"""
        data = numpy.zeros(4)
        data.flags.writeable = False

        with self.assertRaises(nixl.PermissionDeniedError):
            nixl.transfer(bytes(32), data)
        self.assertFalse(nixl.Buffer.from_numpy(data).to_numpy().flags.writeable)

    def test_shares_memory_in_both_directions(self):
        """Proves: S-080 C-29"""
        data = numpy.arange(8)
        buffer = nixl.Buffer.from_numpy(data)
        for view in (buffer.to_numpy(), numpy.asarray(buffer)):
            view[0] = 99
            self.assertEqual(data[0], 99)
            data[0] = 0

    def test_dlpack_there_and_back(self):
        """Proves: S-080"""
        if not hasattr(numpy, "from_dlpack"):
            self.skipTest("this NumPy has no from_dlpack")
        data = numpy.arange(12, dtype="i4").reshape(3, 4)
        exported = numpy.from_dlpack(nixl.Buffer.from_numpy(data))
        numpy.testing.assert_array_equal(exported, data)

        target = bytearray(48)
        nixl.transfer(nixl.Buffer.from_dlpack(data), target)
        self.assertEqual(target, data.tobytes())

    def test_dlpack_capsules_that_nobody_takes_are_freed(self):
        """Proves: S-080"""
        from nixl import _dlpack
        buffer = nixl.Buffer.allocate_host(8)
        capsules = [buffer.__dlpack__() for _ in range(10)]
        self.assertEqual(len(_dlpack._exported), 10)
        del capsules
        self.assertEqual(len(_dlpack._exported), 0)

    def test_views_outlive_free_and_the_buffer(self):
        """Proves: S-079 S-081"""
        for view_of in (lambda b: b.to_numpy(), numpy.asarray, lambda b: numpy.frombuffer(
                memoryview(b.to_numpy()), "u1")):
            buffer = nixl.Buffer.allocate_host(1 << 20)
            nixl.transfer(b"\x07" * (1 << 20), buffer)
            view = view_of(buffer)
            buffer.free()
            del buffer
            gc.collect()
            self.assertEqual(int(view.view("u1").sum()), 7 << 20)


@unittest.skipUnless(has_torch(), "PyTorch is not installed")
class Torch(Case):
    def test_there_and_back(self):
        """Proves: S-078 S-079 S-146"""
        import torch
        for kind in (torch.float32, torch.bfloat16, torch.int64, torch.bool, torch.float16):
            tensor = torch.randn(50, 40).to(kind)
            target = nixl.Buffer.allocate_host(tensor.numel() * tensor.element_size())
            nixl.transfer(nixl.Buffer.from_torch(tensor), target)
            self.assertTrue(torch.equal(target.to_torch(), tensor))
            self.assertEqual(target.to_torch().dtype, kind)

    def test_awkward_tensors(self):
        """Proves: S-078"""
        import torch
        with self.assertLogs("nixl", "WARNING"):
            nixl.Buffer.from_torch(torch.zeros(4, 4).t()[1:])
        nixl.Buffer.from_torch(torch.zeros(4, requires_grad=True))
        with self.assertRaises(nixl.NIXLError):
            nixl.Buffer.from_torch(torch.eye(3).to_sparse())
        with self.assertRaises(TypeError):
            nixl.Buffer.from_torch([1, 2])


class Allocating(Case):
    def test_zeroed_and_exact(self):
        buffer = nixl.Buffer.allocate_host(12345)

        self.assertEqual((buffer.size, len(buffer), buffer.tobytes()), (12345, 12345, bytes(12345)))

    def test_default_size_is_the_setting(self):
        """Proves: C-24 S-032"""
        nixl.initialize(buffer_size="8KB")

        self.assertEqual(nixl.Buffer.allocate_host().size, 8192)

    def test_sizes_that_are_none(self):
        """Proves: S-076"""
        for size in (1.5, "12", True):
            with self.assertRaises(TypeError):
                nixl.Buffer.allocate_host(size)
        for size in (-1, 1 << 64):
            with self.assertRaises(ValueError):
                nixl.Buffer.allocate_host(size)

    def test_more_than_there_is(self):
        """Proves: S-226"""
        with self.assertRaises(MemoryError) as caught:
            nixl.Buffer.allocate_host(1 << 60)

        self.assertIsInstance(caught.exception, nixl.OutOfMemoryError)
        self.assertEqual(nixl.Buffer.allocate_host(10).size, 10)

    def test_device_memory_without_a_gpu_engine(self):
        """Proves: S-076"""
        if nixl.get_device_count():
            self.skipTest("there is a GPU")
        with self.assertRaises(nixl.NIXLError):
            nixl.Buffer.allocate_device(size=1024, device_id=0)


class Freeing(Case):
    def test_twice_and_after_use(self):
        """Proves: S-081"""
        buffer = nixl.Buffer.allocate_host(8)
        buffer.free()
        buffer.free()

        self.assertTrue(buffer.is_freed)
        for use in (
            lambda: nixl.transfer(buffer, bytearray(8)),
            lambda: nixl.transfer(b"1", buffer),
            buffer.tobytes,
            lambda: nixl.prepare(buffer, bytearray(8)),
        ):
            with self.assertRaisesRegex(nixl.NIXLError, "was freed"):
                use()

    def test_with_block(self):
        """Proves: S-081"""
        with nixl.Buffer.allocate_host(8) as buffer:
            self.assertFalse(buffer.is_freed)
        self.assertTrue(buffer.is_freed)

    def test_in_flight_waits(self):
        """Proves: S-081"""
        source, target = nixl.Buffer.from_host(bytes(1 << 24)), bytearray(1 << 24)
        handle = nixl.transfer_async(source, target)
        source.free()

        self.assertTrue(handle.done())

    def test_in_flight_that_does_not_end_is_an_error(self):
        """Proves: S-081"""
        self.use_faults(hold_rate="1")
        source = nixl.Buffer.from_host(bytes(1 << 16))
        handle = nixl.transfer_async(source, bytearray(1 << 16))

        with self.assertRaises(nixl.BusyError):
            source.free(timeout=0.05)
        handle.cancel()
        handle.wait(20)
        source.free()

    def test_ten_thousand_of_the_same_array(self):
        """Proves: S-083"""
        data = bytearray(1 << 16)
        for _ in range(1000):
            nixl.Buffer.from_host(data)
        files, memory = open_descriptors(), resident_bytes()

        for _ in range(10000):
            nixl.Buffer.from_host(data)
            nixl.Buffer.allocate_host(64)

        self.assertEqual(open_descriptors(), files)
        self.assertLess(resident_bytes() - memory, 4 << 20)

    def test_repr(self):
        """Proves: S-084"""
        buffer = nixl.Buffer.allocate_host(1 << 20)
        self.assertRegex(repr(buffer), r"^<nixl.Buffer 1\.00 MB host")
        buffer.free()
        self.assertIn("freed", repr(buffer))


def locked_bytes():
    with open("/proc/self/status") as file:
        return [int(line.split()[1]) << 10 for line in file if line.startswith("VmLck")][0]


class Copies(Case):
    def test_bytes_of_a_buffer(self):
        """Proves: S-084"""
        self.assertEqual(bytes(nixl.Buffer.from_host(b"abc")), b"abc")
        self.assertEqual(bytes(nixl.Buffer.from_host(b"")), b"")

    def test_more_than_two_gib(self):
        """Proves: S-084"""
        size = (1 << 31) + 16
        if nixl.get_free_memory() < 3 * size:
            self.skipTest("needs %d bytes of free memory" % (3 * size))
        self.assertEqual(len(nixl.Buffer.allocate_host(size).tobytes()), size)

    def test_a_buffer_of_a_buffer(self):
        """Proves: S-074"""
        for size in (0, 2, 1000):
            data = bytearray(b"A\0" * (size // 2))
            again = nixl.Buffer.from_host(nixl.Buffer.from_host(data))
            self.assertEqual((again.size, again.tobytes()), (size, bytes(data)))
            self.assertFalse(again.is_read_only)
        self.assertTrue(nixl.Buffer.from_host(nixl.Buffer.from_host(b"ab")).is_read_only)
        own = nixl.Buffer.from_host(nixl.Buffer.allocate_host(8))
        self.assertEqual(own.tobytes(), bytes(8))

    def test_an_array_interface_with_the_memory_itself(self):
        """Proves: S-074"""
        class Thing:
            __array_interface__ = {
                "shape": (2,), "typestr": "|u1", "version": 3, "data": bytearray(b"AB")}

        self.assertEqual(nixl.Buffer.from_host(Thing()).tobytes(), b"AB")

    @needs_numpy
    def test_dlpack_copies(self):
        """Proves: S-084"""
        data = bytearray(b"ABCD")
        for source in (data, bytes(data)):
            capsule = nixl.Buffer.from_host(source).__dlpack__(copy=True)

            class Thing:
                def __dlpack__(self):
                    return capsule

            copied = nixl.Buffer.from_dlpack(Thing())
            self.assertEqual(copied.tobytes(), b"ABCD")
            nixl.transfer(b"....", copied)
            self.assertEqual(bytes(source), b"ABCD")
        with self.assertRaises(BufferError):
            nixl.Buffer.from_host(data).__dlpack__(dl_device=(2, 0))


if __name__ == "__main__":
    unittest.main()
