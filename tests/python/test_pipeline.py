# SPDX-License-Identifier: Apache-2.0
"""Pipeline: the same bytes as without, in pieces of its own, by the engine of the settings."""

import os
import unittest

import nixl
from support import Case, child, traced_operations

SIZE = (1 << 20) + 4321


def traced(code, folder):
    """How many posix operations were in flight at most, and their sizes in order."""
    done = child("import nixl, sys\nstore = nixl.FileBackend(sys.argv[1])\n"
                 "store.write('x', bytes(4 << 20))\n" + code, folder, env={
                     "NIXL_LOG_LEVEL": "TRACE", "NIXL_DECORATORS": "trace:posix"})
    return traced_operations(done.stderr.partition("begin\n")[2])


class Pipelines(Case):
    def setUp(self):
        nixl.configure(path_policy="allow")
        self.data = os.urandom(SIZE)
        self.store = nixl.FileBackend(self.scratch())
        self.store.write("x", self.data)

    def test_sizes_that_divide_and_do_not(self):
        """Proves: S-110 S-111"""
        for stages in (1, 4, 64):
            for chunk in (4096, 100001, 1 << 20, 256 << 20):
                with self.subTest(stages=stages, chunk=chunk):
                    if chunk * stages > 1 << 30:
                        continue  # more than the staging memory: see below
                    pipeline = nixl.Pipeline(stages=stages, chunk_size=chunk)
                    done = pipeline.transfer(src=self.store.object("x"), dst=self.store.object("y"))
                    self.assertIsInstance(done, nixl.Transfer)
                    self.assertEqual(done.status, nixl.TransferStatus.SUCCESS)
                    self.assertEqual(self.store.read("y"), self.data)
                    self.store.delete("y")

    def test_small_transfers_take_no_more_than_they_need(self):
        """Proves: S-110"""
        nixl.configure(pool_size="8MB")
        pipeline = nixl.Pipeline(stages=4, chunk_size=1 << 20)
        pipeline.transfer(src=self.store.object("x"), dst=self.store.object("y"))
        self.assertEqual(self.store.read("y"), self.data)

    def test_async(self):
        """Proves: S-111"""
        ended = []
        transfer = nixl.Pipeline(stages=2, chunk_size=65536).transfer_async(
            src=self.store.object("x"), dst=self.store.object("y"), callback=ended.append)
        self.assertEqual(transfer.wait(), nixl.TransferStatus.SUCCESS)
        self.assertEqual(ended, [transfer])
        self.assertEqual(self.store.read("y"), self.data)

    def test_direct_paths_are_taken_whole(self):
        """Proves: S-111"""
        target = nixl.Buffer.allocate_host(size=SIZE)
        done = nixl.Pipeline(stages=4, chunk_size=4096).transfer(src=self.data, dst=target)
        self.assertEqual(str(done.path), "memcpy")
        self.assertEqual(target.tobytes(), self.data)

    def test_type_and_shape_travel(self):
        """Proves: C-28"""
        try:
            import numpy
        except ImportError:
            self.skipTest("NumPy is not installed")
        target = nixl.Buffer.allocate_host(size=80)
        nixl.Pipeline().transfer(src=numpy.arange(10.0), dst=target)
        self.assertEqual(target.to_numpy().tolist(), list(range(10)))

    def test_failure_in_the_middle_names_the_piece(self):
        """Proves: S-111"""
        prepared = self.store.object("x")
        source = prepared._nixl_source()
        os.truncate(os.path.join(self.store.path, "x"), 300000)
        with self.assertRaises(nixl.TransferError) as caught:
            nixl.Pipeline(stages=4, chunk_size=65536).transfer(
                src=source, dst=self.store.object("y"))
        self.assertIn("piece 4 of 17, bytes 262144 to 327679", str(caught.exception))

    def test_the_same_trace_as_with_settings(self):
        """Proves: C-12 S-111"""
        begin = "nixl.configure(path_policy='allow'%s); sys.stderr.write('begin\\n')\n"
        by_object = traced(
            begin % "" + "nixl.Pipeline(stages=3, chunk_size=262144).transfer("
            "store.object('x'), store.object('y'))\n", self.scratch())
        by_setting = traced(
            begin % ", pipeline_chunks=3, chunk_size=262144" +
            "nixl.transfer(store.object('x'), store.object('y'))\n", self.scratch())
        self.assertEqual(by_object, by_setting)
        self.assertEqual(by_object, (3, [262144] * 32))  # each is read and written

    def test_what_is_no_pipeline(self):
        """Proves: S-110"""
        for wrong in (dict(stages=0), dict(stages=65), dict(stages=-1), dict(chunk_size=0),
                      dict(chunk_size=4095), dict(chunk_size=(4 << 30) + 1)):
            with self.assertRaises(nixl.InvalidArgumentError, msg=wrong):
                nixl.Pipeline(**wrong)
        for wrong in (dict(stages=True), dict(stages="4"), dict(chunk_size=1.5)):
            with self.assertRaises(TypeError, msg=wrong):
                nixl.Pipeline(**wrong)
        pipeline = nixl.Pipeline()
        self.assertEqual((pipeline.stages, pipeline.chunk_size), (4, None))
        self.assertEqual(repr(nixl.Pipeline(2, 8192)), "nixl.Pipeline(stages=2, chunk_size=8192)")
        with self.assertRaises(nixl.OutOfRangeError):
            pipeline.transfer(src=b"12345", dst=bytearray(4))

    def test_more_than_the_staging_memory(self):
        """Proves: S-110"""
        nixl.configure(pool_size="1MB")
        with self.assertRaises(nixl.OutOfMemoryError) as caught:
            nixl.Pipeline(stages=16, chunk_size=256 << 10).transfer(
                src=self.store.object("x"), dst=self.store.object("y"))
        self.assertIn("pool_size", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
