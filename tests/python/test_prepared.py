# SPDX-License-Identifier: Apache-2.0
"""prepare and post: runs, strides, indices, posting again."""

import gc
import unittest

import nixl
from support import Case, needs_numpy, numpy, until

SUCCESS = nixl.TransferStatus.SUCCESS


class Prepared(Case):
    def setUp(self):
        self.source = bytes(range(256))
        self.target = bytearray(256)

    def test_everything(self):
        prepared = nixl.prepare(self.source, self.target)
        self.assertEqual(prepared.post().wait(), SUCCESS)

        self.assertEqual(self.target, self.source)
        self.assertTrue(prepared.path)

    def test_runs_of_a_sequence(self):
        nixl.prepare(self.source, self.target, [(0, 10, 2), (100, 0, 3)]).post().wait()

        self.assertEqual(self.target[:12], bytes([100, 101, 102, 0, 0, 0, 0, 0, 0, 0, 0, 1]))

    def test_strided_runs(self):
        nixl.prepare(self.source, self.target, [(0, 255, 1, 4, -1, 8)]).post().wait()

        self.assertEqual(self.target[-8:], bytes(range(28, -1, -4)))

    def test_post_again_and_again(self):
        target = bytearray(3)
        source = bytearray(b"abc")
        prepared = nixl.prepare(source, target)
        for text in (b"abc", b"def", b"ghi"):
            source[:] = text
            self.assertEqual(prepared.post().wait(), SUCCESS)
            self.assertEqual(target, text)

    def test_indices_pick_blocks(self):
        prepared = nixl.prepare(self.source, self.target, [(4 * i, 4 * i, 4) for i in range(64)])
        self.assertEqual(prepared.post([0, 63, 2]).wait(), SUCCESS)

        expected = bytearray(256)
        for block in (0, 63, 2):
            expected[4 * block:4 * block + 4] = self.source[4 * block:4 * block + 4]
        self.assertEqual(self.target, expected)

    def test_indices_of_both_sides(self):
        prepared = nixl.prepare(self.source, self.target, [(0, 0, 4, 4, 4, 64)])
        prepared.post([63, 62], target_indices=[0, 1]).wait()

        self.assertEqual(self.target[:8], self.source[252:] + self.source[248:252])

    def test_no_runs_have_no_blocks(self):
        prepared = nixl.prepare(self.source, self.target, [])
        prepared.post().wait()
        with self.assertRaisesRegex(nixl.InvalidArgumentError, "no elements to list"):
            prepared.post([0])

    def test_wrong_indices(self):
        prepared = nixl.prepare(self.source, self.target, [(0, 0, 4), (4, 4, 4)])
        with self.assertRaises(nixl.NIXLError):
            prepared.post([2])
        with self.assertRaises(nixl.NIXLError):
            prepared.post([-1])
        with self.assertRaises(nixl.NIXLError):
            prepared.post([0], target_indices=[0, 1])
        with self.assertRaises(nixl.NIXLError):
            prepared.post(target_indices=[0])
        with self.assertRaises(nixl.NIXLError):
            nixl.prepare(self.source, self.target).post([0])
        self.assertEqual(self.target, bytearray(256))
        self.assertEqual(prepared.post([1]).wait(), SUCCESS)

    def test_runs_outside_are_named(self):
        """Proves: S-092"""
        for runs in (
            [(0, 0, 1), (250, 0, 7)],
            [(0, 250, 7)],
            [((1 << 64) - 1, 0, 2)],
            [(0, 0, 1, 1, 1, 257)],
            [(0, 0, 1, -1, 1, 2)],
            [(0, 0, 1, 1, 1, (1 << 64) - 1)],
        ):
            with self.subTest(runs=runs), self.assertRaises(nixl.OutOfRangeError):
                nixl.prepare(self.source, self.target, runs)

    def test_runs_that_are_none(self):
        for runs in ([(1, 2)], [(1, 2, 3), (1, 2, 3, 4, 5, 6)], [(-1, 0, 1)], [(0, 0, 1 << 64)]):
            with self.subTest(runs=runs), self.assertRaises(nixl.NIXLError):
                nixl.prepare(self.source, self.target, runs)
        for number in (0.5, 1.0, "1", None, float("inf")):
            with self.subTest(number=number), self.assertRaisesRegex(
                    nixl.InvalidArgumentError, "whole numbers"):
                nixl.prepare(self.source, self.target, [(0, 0, number)])

    def test_read_only_target(self):
        """Proves: S-093"""
        with self.assertRaises(PermissionError):
            nixl.prepare(self.source, b"1234", [(0, 0, 1)])

    def test_callback_and_deadline(self):
        seen = []
        prepared = nixl.prepare(self.source, self.target)
        handle = prepared.post(callback=seen.append, deadline=20)
        self.assertEqual(handle.wait(), SUCCESS)
        self.assertEqual(seen, [handle])

    def test_posting_twice_at_once_is_busy(self):
        self.use_faults(hold_rate="1")
        prepared = nixl.prepare(self.source, self.target)
        handle = prepared.post()
        with self.assertRaises(nixl.BusyError):
            prepared.post()
        handle.cancel()
        end = handle.wait(20)
        again = prepared.post()
        self.assertEqual((handle.status, again.status), (end, nixl.TransferStatus.IN_PROGRESS))
        again.cancel()
        again.wait(20)

    def test_dropped_in_flight_completes(self):
        big, target = bytes(b"\x01" * (1 << 24)), bytearray(1 << 24)
        nixl.prepare(big, target).post()
        gc.collect()

        self.assertTrue(until(lambda: target[-1] == 1))

    def test_thousands_do_not_grow(self):
        nixl.initialize(request_slots=64)
        for _ in range(1000):
            prepared = nixl.prepare(self.source, self.target, [(0, 0, 4), (4, 4, 4)])
            prepared.post().wait()
            prepared.post([1]).wait()


@needs_numpy
class NumPyRuns(Case):
    def setUp(self):
        self.source = numpy.arange(1 << 16, dtype="u4").view("u1")
        self.target = numpy.zeros_like(self.source)

    def check(self, runs, rows=None):
        nixl.prepare(self.source, self.target, runs).post().wait()
        expected = numpy.zeros_like(self.source)
        for source, target, size in numpy.asarray(runs if rows is None else rows).tolist():
            expected[target:target + size] = self.source[source:source + size]
        numpy.testing.assert_array_equal(self.target, expected)

    def test_types_and_layouts(self):
        rows = numpy.array([[0, 128, 64], [4096, 0, 100]])
        for kind in ("i8", "u8", "i4", "u2", ">i8"):
            with self.subTest(kind=kind):
                self.check(rows.astype(kind))
        self.check(numpy.asfortranarray(rows))
        self.check(numpy.repeat(rows, 2, axis=0)[::2])

    def test_wrong_arrays(self):
        for runs in (numpy.zeros((2, 4), "u8"), numpy.zeros(3, "u8")):
            with self.assertRaises(nixl.NIXLError):
                nixl.prepare(self.source, self.target, runs)
        with self.assertRaises(TypeError):
            nixl.prepare(self.source, self.target, numpy.zeros((2, 3)))

    def test_no_rows(self):
        prepared = nixl.prepare(self.source, self.target, numpy.zeros((0, 3), "u8"))
        self.assertEqual(prepared.post().wait(), SUCCESS)

    def test_the_array_may_change_after_prepare(self):
        runs = numpy.array([[0, 0, 4], [4, 4, 4]], "u8")
        prepared = nixl.prepare(self.source, self.target, runs)
        runs[:] = 1 << 60
        prepared.post(numpy.array([1], "u4")).wait()

        numpy.testing.assert_array_equal(self.target[:8].view("u4"), [0, 1])

    def test_indices_of_many_types(self):
        runs = numpy.array([[4 * i, 4 * i, 4] for i in range(100)], "u8")
        for kind in ("u4", "i4", "i8", "u8"):
            self.target[:] = 0
            indices = numpy.array([99, 7], kind)
            nixl.prepare(self.source, self.target, runs).post(indices).wait()
            self.assertEqual(int(self.target[396:400].view("u4")[0]), 99)
        with self.assertRaises(TypeError):
            nixl.prepare(self.source, self.target, runs).post(numpy.array([1.5]))

    def test_a_hundred_thousand_random_runs(self):
        rng = numpy.random.default_rng(7)
        block = rng.permutation(1 << 14)
        runs = numpy.stack(
            [block * 16, numpy.arange(1 << 14) * 16, numpy.full(1 << 14, 16)], axis=1
        )
        prepared = nixl.prepare(self.source, self.target, runs)
        prepared.post().wait()

        numpy.testing.assert_array_equal(
            self.target.reshape(-1, 16), self.source.reshape(-1, 16)[block])

    def test_an_older_handle_keeps_its_own_end(self):
        """Proves: S-086"""
        prepared = nixl.prepare(b"12345678", bytearray(8), [(0, 0, 4), (4, 4, 4)])
        first = prepared.post([0, 1])
        first.wait()
        second = prepared.post([0])
        second.wait()
        self.assertEqual((first.bytes_done, second.bytes_done), (8, 4))

        nixl.finalize()
        self.use_faults(hold_rate="1")
        prepared = nixl.prepare(bytes(100), bytearray(100))
        late = prepared.post(deadline=0.01)
        self.assertEqual(late.wait(20), nixl.TransferStatus.TIMEOUT)
        next_one = prepared.post()
        next_one.cancel()
        next_one.wait(20)
        self.assertIsInstance(late.exception(), TimeoutError)

    @needs_numpy
    def test_later_changes_of_the_runs_are_not_seen(self):
        """Proves: S-093"""
        class Child(numpy.ndarray):
            pass

        whole = numpy.array([[0, 0, 4], [4, 4, 4], [0, 0, 1]], "u8")
        for runs in (whole.copy(), whole.copy().view(Child), whole.copy()[:2]):
            target = bytearray(8)
            prepared = nixl.prepare(b"12345678", target, runs)
            runs[:] = 0
            prepared.post(numpy.array([1], "u4")).wait()
            self.assertEqual(target, b"\0\0\0\x005678")


if __name__ == "__main__":
    unittest.main()
