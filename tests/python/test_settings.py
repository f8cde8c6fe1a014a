# SPDX-License-Identifier: Apache-2.0
"""Settings, telemetry and log lines."""

import unittest

import nixl
from support import Case, child


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

    def test_cache_hit_rate_is_a_fraction(self):
        """Proves: S-119 C-21"""
        nixl.telemetry.enable()
        data = bytearray(1 << 20)
        for _ in range(5):
            nixl.transfer(nixl.Buffer.from_host(data), nixl.Buffer.from_host(data))

        self.assertTrue(0.0 <= nixl.telemetry.get_metrics()["cache_hit_rate"] <= 1.0)

    def test_from_the_environment(self):
        """Proves: S-037"""
        code = "import nixl; nixl.initialize(); print(nixl.telemetry.is_enabled())"

        self.assertEqual(child(code, env={"NIXL_ENABLE_TELEMETRY": "true"}).stdout, "True\n")


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
