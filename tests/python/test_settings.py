# SPDX-License-Identifier: Apache-2.0
"""Settings, telemetry and log lines."""

import os
import re
import threading
import time
import unittest

import nixl
from support import Case, child, traced_operations


class Configure(Case):
    def test_before_and_after_initialize(self):
        """Proves: S-068"""
        for opened in (False, True):
            if opened:
                nixl.initialize()
            nixl.configure(pipeline_chunks=16, chunk_size=256 * 1024)
            found = nixl.get_config()
            self.assertEqual(int(found["pipeline_chunks"].value), 16)
            self.assertEqual(int(found["chunk_size"].value), 262144)
            self.assertEqual(found["chunk_size"].origin, "argument")
            nixl.finalize()

    def test_settings_given_before_are_used(self):
        """Proves: S-068"""
        nixl.configure(chunk_size="512KB")
        nixl.transfer(b"1", bytearray(1))

        self.assertEqual(nixl.get_config()["chunk_size"].value, 512 * 1024)

    def test_bad_values_are_refused_at_once_and_change_nothing(self):
        """Proves: S-068"""
        for opened in (False, True):
            if opened:
                nixl.initialize()
            before = nixl.get_config()
            for settings in ({"pipeline_chunks": 0}, {"pipeline_chunks": -1},
                             {"pipeline_chunks": "many"}, {"chunk_size": "4XB"},
                             {"chunk_size": "2MB", "pipeline_chunks": 0}):
                with self.subTest(settings=settings), self.assertRaises(ValueError):
                    nixl.configure(**settings)
            self.assertEqual(nixl.get_config(), before)
            nixl.finalize()

    def test_unknown_names_get_a_suggestion(self):
        """Proves: S-068"""
        for opened in (False, True):
            if opened:
                nixl.initialize()
            with self.assertRaisesRegex(nixl.NIXLError, "chunk_size"):
                nixl.configure(chunk_sise=4096)
            nixl.finalize()

    def test_the_wrong_scope_names_the_right_call(self):
        """Proves: C-11 S-141"""
        with self.assertRaisesRegex(nixl.NIXLError, r"nixl\.distributed\.configure"):
            nixl.configure(compression="lz4")
        with self.assertRaisesRegex(nixl.NIXLError, r"configure_backend"):
            nixl.configure(secret_key="x")

    def test_origins(self):
        """Proves: C-11 S-023"""
        code = ("import nixl; nixl.initialize(pipeline_chunks=4); c = nixl.get_config()\n"
                "print(c['pipeline_chunks'].origin, c['chunk_size'].origin, c['pool_size'].origin)")
        process = child(code, env={"NIXL_PIPELINE_CHUNKS": "9", "NIXL_CHUNK_SIZE": "2MB"})

        self.assertEqual(process.stdout, "argument environment default\n")

    def test_values_and_defaults_are_of_one_type_and_unit(self):
        """Proves: S-068"""
        code = ("import nixl\n"
                "for name, row in nixl.get_config().items():\n"
                "    if row.origin == 'default': assert row.value == row.default, (name, row)\n"
                "    assert type(row.value) is type(row.default), (name, row)\n")
        child(code, env={name: "" for name in os.environ if name.startswith("NIXL_") and name not in
                         ("NIXL_LIBRARY", "NIXL_PYTHON_HOT")})
        for given, seconds in (("200ms", 0.2), (1.5, 1.5), (0, 0.0), ("2m", 120.0)):
            nixl.configure(drain_timeout=given)
            row = nixl.get_config()["drain_timeout"]
            self.assertEqual((row.value, row.default), (seconds, 5.0))
            nixl.configure(drain_timeout=row.value)  # it is taken back as it is
            self.assertEqual(nixl.get_config()["drain_timeout"], row)
        self.assertIsNone(nixl.get_config()["chunk_size"].default)  # by the size of the transfer
        self.assertEqual(nixl.get_config()["fault.error_rate"].value, 0.0)
        self.assertIsNone(nixl.get_config()["memcpy.stream_bytes"].value)

    def test_secrets_are_masked(self):
        """Proves: S-220"""
        code = "import nixl; nixl.initialize(); print(nixl.get_config())"
        process = child(code, env={"NIXL_ETCD_PASSWORD": "hunter2"})

        self.assertNotIn("hunter2", process.stdout + process.stderr)


class Telemetry(Case):
    def test_zeros_before_anything(self):
        """Proves: S-117"""
        metrics = nixl.telemetry.get_metrics()

        self.assertEqual((metrics["bandwidth_gbps"], metrics["cache_hit_rate"]), (0.0, 0.0))
        self.assertFalse(nixl.telemetry.is_enabled())

    def test_enable_before_initialize_and_twice(self):
        """Proves: S-116"""
        nixl.telemetry.enable()
        self.assertTrue(nixl.telemetry.is_enabled())
        nixl.initialize()
        nixl.telemetry.enable()

        self.assertTrue(nixl.telemetry.is_enabled())
        nixl.telemetry.disable()
        self.assertFalse(nixl.telemetry.is_enabled())

    def test_counts_what_was_moved(self):
        """Proves: S-117 S-118 C-20"""
        nixl.telemetry.enable()
        source, target = nixl.Buffer.from_host(bytes(1 << 20)), nixl.Buffer.allocate_host(1 << 20)
        for _ in range(10):
            nixl.transfer(source, target)
        metrics = nixl.telemetry.get_metrics()

        self.assertEqual((metrics["transfers"], metrics["bytes"]), (10, 10 << 20))
        self.assertEqual(metrics["failures"], 0)
        self.assertGreater(metrics["bandwidth_gbps"], 0)
        self.assertAlmostEqual(metrics["bandwidth_gigabits_per_second"]
                               / metrics["bandwidth_gigabytes_per_second"], 8)
        nixl.telemetry.reset()
        self.assertEqual(nixl.telemetry.get_metrics()["transfers"], 0)

    def test_cache_hit_rate_counts_look_ups_served_from_the_cache(self):
        """Proves: S-119 C-21"""
        nixl.telemetry.enable()
        source = nixl.Buffer.from_host(bytes(1 << 20))
        target = nixl.Buffer.from_host(bytearray(1 << 20))
        rates = [nixl.telemetry.get_metrics()["cache_hit_rate"]]
        for _ in range(3):
            nixl.transfer(source, target)
            rates.append(nixl.telemetry.get_metrics()["cache_hit_rate"])

        self.assertEqual([round(rate, 2) for rate in rates], [0.0, 0.0, 0.5, 0.67])
        metrics = nixl.telemetry.get_metrics()
        self.assertEqual(round(metrics["registration_cache_hit_rate"], 2), 0.67)
        self.assertEqual(metrics["pool_hit_rate"], 0.0)

    def test_pools_count_in_the_hit_rate(self):
        """Proves: S-119 C-21"""
        nixl.initialize(path_policy="allow")
        nixl.telemetry.enable()
        store = nixl.FileBackend(self.scratch())
        store.write("x", bytes(1 << 20))
        nixl.telemetry.reset()
        nixl.transfer(store.object("x"), store.object("y"))
        first = nixl.telemetry.get_metrics()["pool_hit_rate"]
        nixl.transfer(store.object("x"), store.object("y"))

        self.assertEqual((first, nixl.telemetry.get_metrics()["pool_hit_rate"]), (0.0, 0.5))

    def test_busy_time_is_a_union_and_not_a_sum(self):
        """Proves: S-118"""
        self.use_faults(hold_rate="1")
        nixl.telemetry.enable()
        start = time.monotonic()
        handles = [nixl.transfer_async(bytes(1 << 16), bytearray(1 << 16)) for _ in range(4)]
        self.assertEqual(handles[0].wait(0.3), nixl.TransferStatus.TIMEOUT)
        for handle in handles:
            handle.cancel()
            handle.wait(20)
        passed = time.monotonic() - start
        busy = nixl.telemetry.get_metrics()["busy_seconds"]
        threading.Event().wait(0.2)  # nothing is in flight

        self.assertTrue(0.29 <= busy <= passed, (busy, passed))
        self.assertEqual(nixl.telemetry.get_metrics()["busy_seconds"], busy)

    def test_bandwidth_is_bytes_over_busy_time(self):
        """Proves: S-118"""
        size, count = 16 << 20, 10
        source, target = nixl.Buffer.allocate_host(size), nixl.Buffer.allocate_host(size)
        nixl.transfer(source, target)
        nixl.telemetry.enable()
        nixl.telemetry.reset()
        passed = 0.0
        for _ in range(count):
            start = time.monotonic()
            nixl.transfer(source, target)
            passed += time.monotonic() - start
        metrics = nixl.telemetry.get_metrics()

        self.assertLessEqual(metrics["busy_seconds"], passed)
        self.assertGreaterEqual(metrics["bandwidth_gbps"], size * count / passed / 1e9)
        self.assertAlmostEqual(metrics["bandwidth_gbps"],
                               size * count / metrics["busy_seconds"] / 1e9, places=6)

    def test_from_the_environment(self):
        """Proves: S-037"""
        code = "import nixl; nixl.initialize(); print(nixl.telemetry.is_enabled())"

        self.assertEqual(child(code, env={"NIXL_ENABLE_TELEMETRY": "true"}).stdout, "True\n")


class Chunks(Case):
    def test_large_transfers_travel_in_chunks_and_that_many_at_once(self):
        """Proves: S-068 C-12"""
        code = (
            "import nixl, sys\n"
            "store = nixl.FileBackend(sys.argv[1]); store.write('x', bytes(4 << 20))\n"
            "nixl.configure(pipeline_chunks=int(sys.argv[2]), chunk_size=256*1024)\n"
            "sys.stderr.write('begin\\n'); sys.stderr.flush()\n"
            "nixl.transfer(store.object('x'), store.object('y'))\n")
        for chunks in (4, 16):
            with self.subTest(chunks=chunks):
                process = child(code, self.scratch(), str(chunks), env={
                    "NIXL_LOG_LEVEL": "TRACE", "NIXL_DECORATORS": "trace:posix"})
                most, sizes = traced_operations(process.stderr.partition("begin\n")[2])
                self.assertEqual(set(sizes), {256 * 1024})
                self.assertEqual(len(sizes), 2 * 16)  # every chunk is read and written
                self.assertEqual(most, chunks)


class Warnings(Case):
    SLOW = (
        "import nixl, sys\n"
        "store = nixl.FileBackend(sys.argv[1]); store.write('x', b'1')\n"
        "for _ in range(2):\n"
        "    for _ in range(3): nixl.transfer(store.object('x'), store.object('y'))\n"
        "    nixl.finalize()\n")

    def lines(self, level=None):
        environment = {"NIXL_LOG_LEVEL": level} if level else {}
        return child(self.SLOW, self.scratch(), env=environment).stderr.splitlines()

    def test_one_for_each_cause_and_process(self):
        """Proves: S-209 S-222"""
        lines = self.lines()

        self.assertEqual(len(lines), 1, lines)
        for words in ("WARN", "slower", "posix+posix", "no backend copies file -> file directly"):
            self.assertIn(words, lines[0])

    def test_levels_filter(self):
        """Proves: S-036"""
        self.assertEqual((self.lines("ERROR"), self.lines("fatal")), ([], []))
        for level in ("WARN", "warning", "INFO", "debug", "TRACE"):
            lines = self.lines(level)
            self.assertEqual(sum("WARN" in line for line in lines), 1, (level, lines))
            self.assertEqual(any("DEBUG" in line for line in lines), level in ("debug", "TRACE"))

    def test_a_level_that_is_none_is_told_and_not_used(self):
        """Proves: S-036"""
        lines = self.lines("LOUD")

        self.assertTrue(any("LOUD" in line and "WARN" in line for line in lines), lines)
        self.assertTrue(any("slower" in line for line in lines), lines)
        self.assertFalse(any("DEBUG" in line for line in lines), lines)


class Logging(Case):
    LINES = "NIXL_UNKNOWN_THING"  # one WARN when the library opens

    def run_with(self, before, environment=None):
        code = "%s\nimport nixl\nnixl.transfer(b'1', bytearray(1))\nnixl.finalize()\n" % before
        return child(code, env={self.LINES: "1", **(environment or {})}).stderr

    def test_without_logging_the_library_writes_itself(self):
        """Proves: S-026 S-036"""
        lines = self.run_with("")

        self.assertEqual(lines.count(self.LINES), 1)

    def test_with_logging_set_up_lines_go_there(self):
        """Proves: S-036"""
        lines = self.run_with("import logging; logging.basicConfig(format='<%(name)s %(levelname)s>"
                              " %(message)s')")

        self.assertIn("<nixl WARNING>", lines)
        self.assertEqual(lines.count(self.LINES), 1)

    def test_many_threads_and_lines_at_debug(self):
        """Proves: S-036"""
        code = (
            "import logging, threading\n"
            "logging.basicConfig(level=5)\n"
            "import nixl\n"
            "nixl.initialize(log_level='TRACE')\n"
            "def work():\n"
            "    for _ in range(200): nixl.transfer(b'1' * 100, bytearray(100))\n"
            "threads = [threading.Thread(target=work) for _ in range(8)]\n"
            "[t.start() for t in threads]; [t.join() for t in threads]\n")
        child(code)


class Values(Case):
    def test_values_that_wait_for_the_opening(self):
        """Proves: S-032 S-068"""
        nixl.configure(buffer_size="8MB")
        self.assertEqual(nixl.get_config()["buffer_size"][:2], (8 << 20, "argument"))
        self.assertEqual(nixl.Buffer.allocate_host().size, 8 << 20)

    def test_an_allocator_that_nobody_registered(self):
        """Proves: S-093"""
        for _opened in (False, True):
            with self.assertRaises(nixl.NotFoundError):
                nixl.configure(allocator="custom")
            nixl.configure(allocator="default")
            nixl.initialize()
        nixl.finalize()
        with self.assertRaises(nixl.NotFoundError):
            nixl.initialize(allocator="custom")

    def test_zero_copy_refuses_what_must_be_staged(self):
        """Proves: S-069 C-30"""
        nixl.telemetry.enable()
        nixl.configure(zero_copy=True, path_policy="allow")
        store = nixl.FileBackend(self.scratch())
        store.write("x", b"1234")
        for call in (nixl.transfer, nixl.transfer_async, nixl.prepare):
            with self.assertRaises(nixl.UnsupportedError) as caught:
                call(store.object("x"), store.object("y"))
            self.assertIn("zero_copy", str(caught.exception))
        self.assertEqual(store.read("x"), b"1234")
        self.assertEqual(nixl.telemetry.get_metrics()["staged_bytes"], 0)

        nixl.configure(zero_copy=False)
        nixl.transfer(store.object("x"), store.object("y"))
        self.assertEqual(store.read("y"), b"1234")
        self.assertGreater(nixl.telemetry.get_metrics()["staged_bytes"], 0)

    def test_pinned_memory_is_not_staged(self):
        """Proves: S-115"""
        nixl.telemetry.enable()
        buffer = nixl.Buffer.from_host(bytearray(1 << 20), pinned=True)
        nixl.transfer(buffer, nixl.FileBackend(self.scratch()).object("x"))
        nixl.transfer(buffer, nixl.Buffer.allocate_host(1 << 20, pinned=True))

        self.assertEqual(nixl.telemetry.get_metrics()["staged_bytes"], 0)


if __name__ == "__main__":
    unittest.main()
