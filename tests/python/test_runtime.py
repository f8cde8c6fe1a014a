# SPDX-License-Identifier: Apache-2.0
"""Starting and ending the library, by hand, at the first use, in threads."""

import os
import re
import threading
import unittest

import nixl
from support import Case, child, in_threads


class Initialize(Case):
    def test_twice_with_the_same_settings_is_fine(self):
        """Proves: S-054"""
        nixl.initialize(backend="auto", log_level="ERROR")
        nixl.initialize(backend="auto", log_level="ERROR")

    def test_without_arguments_it_is_content(self):
        """Proves: S-054"""
        nixl.initialize(chunk_size="2MB")
        nixl.initialize()
        nixl.configure(pipeline_chunks=4)
        nixl.initialize()
        nixl.initialize(chunk_size="2MB")
        with self.assertRaises(nixl.AlreadyExistsError):
            nixl.initialize(chunk_size="4MB")

    def test_twice_with_other_settings_is_refused(self):
        """Proves: S-054"""
        nixl.initialize(chunk_size="2MB")

        with self.assertRaises(nixl.AlreadyExistsError):
            nixl.initialize(chunk_size="4MB")

    def test_arguments_by_position(self):
        """Proves: S-054 S-055"""
        nixl.initialize("auto", None, "error")

        self.assertEqual(nixl.get_config()["log_level"].value, "error")

    def test_returns_none(self):
        """Proves: S-054"""
        self.assertIsNone(nixl.initialize())

    def test_unknown_backend_lists_the_known_ones(self):
        """Proves: S-054 S-027"""
        with self.assertRaises(nixl.NIXLError) as caught:
            nixl.initialize(backend="bogus")

        self.assertIsInstance(caught.exception, ValueError)
        self.assertIn("ucx", str(caught.exception))

    def test_backend_enum_is_accepted(self):
        """Proves: S-060 S-054"""
        nixl.initialize(backend=nixl.Backend.TCP)

        self.assertEqual(nixl.get_config()["backend"].value, "tcp")

    def test_ucx_without_ucx_warns_once(self):
        """Proves: C-14"""
        process = child(
            "import nixl; nixl.initialize(backend='ucx'); nixl.initialize(backend='ucx')",
            env={"NIXL_LOG_LEVEL": "WARN"},
        )

        if not nixl.get_capabilities()["ucx"]:
            self.assertEqual(process.stderr.lower().count("ucx") > 0, True)
            self.assertEqual(len(process.stderr.strip().split("\n")), 1)

    def test_enable_gpu_without_a_gpu_is_an_error_at_once(self):
        """Proves: C-15"""
        if nixl.get_device_count():
            self.skipTest("there is a GPU")

        with self.assertRaises(nixl.NIXLError) as caught:
            nixl.initialize(enable_gpu=True)

        self.assertIn("GPU", str(caught.exception))
        nixl.initialize(enable_gpu=False)

    def test_log_level_as_number_of_the_logging_module(self):
        """Proves: S-055"""
        nixl.initialize(log_level=40)

        self.assertEqual(nixl.get_config()["log_level"].value, "error")

    def test_invalid_log_level_is_refused(self):
        """Proves: S-055"""
        with self.assertRaises(nixl.NIXLError):
            nixl.initialize(log_level="LOUD")

    def test_the_more_verbose_log_level_wins(self):
        """Proves: C-31"""
        code = ("import nixl, sys; nixl.initialize(log_level=sys.argv[1])\n"
                "print(nixl.get_config()['log_level'].value)")
        for argument, environment, expected in (
                ("INFO", "DEBUG", "debug"), ("DEBUG", "ERROR", "debug"), ("INFO", "", "info")):
            with self.subTest(argument=argument, environment=environment):
                process = child(code, argument, env={"NIXL_LOG_LEVEL": environment})
                self.assertEqual(process.stdout.strip(), expected)

    def test_first_use_opens_it_with_the_environment(self):
        """Proves: S-056 S-023"""
        code = ("import nixl; nixl.transfer(b'ab', bytearray(2))\n"
                "setting = nixl.get_config()['chunk_size']; print(setting.value, setting.origin)")
        process = child(code, env={"NIXL_CHUNK_SIZE": "2MB"})

        self.assertEqual(process.stdout.split()[1], "environment")

    def test_sixteen_threads_open_it_once(self):
        """Proves: S-056 S-094"""
        start = threading.Barrier(16)

        def use(_number):
            start.wait(20)
            target = bytearray(8)
            nixl.transfer(b"12345678", target)
            self.assertEqual(target, b"12345678")

        self.assertEqual(in_threads(16, use), [])

    def test_threads_that_race_open_one_context(self):
        """Proves: S-056"""
        code = (
            "import nixl, threading\n"
            "start = threading.Barrier(16)\n"
            "def use(): start.wait(20); nixl.transfer(b'1', bytearray(1))\n"
            "threads = [threading.Thread(target=use) for _ in range(16)]\n"
            "[t.start() for t in threads]; [t.join() for t in threads]\n")
        again = "nixl.finalize(); nixl.initialize()\n"
        opened = "backend null is off"  # said by every context that opens
        for text, times in ((code, 1), (code + again, 2)):
            lines = child(text, env={"NIXL_LOG_LEVEL": "DEBUG"}).stderr
            self.assertEqual(lines.count(opened), times, lines)


class Finalize(Case):
    def test_before_initialize_and_twice(self):
        """Proves: S-057"""
        nixl.finalize()
        nixl.initialize()
        nixl.finalize()
        nixl.finalize()

    def test_after_a_failed_initialize(self):
        """Proves: S-057"""
        with self.assertRaises(nixl.NIXLError):
            nixl.initialize(backend="bogus")
        nixl.finalize()

    def test_initialize_again_with_other_settings(self):
        """Proves: S-057"""
        nixl.initialize(chunk_size="2MB")
        nixl.finalize()
        nixl.initialize(chunk_size="4MB")

        self.assertEqual(nixl.transfer(b"x", bytearray(1)).status, nixl.TransferStatus.SUCCESS)

    def test_free_in_every_order(self):
        """Proves: C-43 S-081 S-083"""
        for order in ("free finalize", "finalize free", "finalize drop", "drop finalize",
                      "finalize free free", "finalize initialize free"):
            with self.subTest(order=order):
                buffers = [nixl.Buffer.from_host(bytearray(100)), nixl.Buffer.allocate_host(100)]
                handle = nixl.transfer(*buffers)
                for step in order.split():
                    if step == "free":
                        for buffer in buffers:
                            buffer.free()
                    elif step == "drop":
                        buffers = handle = None
                    else:
                        getattr(nixl, step)()
                if handle is not None:
                    self.assertEqual(handle.wait(), nixl.TransferStatus.SUCCESS)
                nixl.finalize()

    def test_a_buffer_from_before_is_refused_with_the_reason(self):
        """Proves: C-43 S-081"""
        source = nixl.Buffer.from_host(b"abc")
        nixl.finalize()

        with self.assertRaises(nixl.NIXLError) as caught:
            nixl.transfer(source, bytearray(3))

        self.assertIn("finalize", str(caught.exception))

    def test_a_buffer_from_before_names_none_of_the_new_ones(self):
        """Proves: C-43 S-081"""
        old = nixl.Buffer.from_host(bytearray(b"old"))
        nixl.finalize()
        new = nixl.Buffer.from_host(bytearray(b"new"))  # with the number that old has had

        for call in (lambda: nixl.transfer(b"abc", old), lambda: nixl.transfer(new, old),
                     lambda: nixl.transfer(old, new), lambda: nixl.transfer_async(new, old),
                     lambda: nixl.prepare(new, old), lambda: nixl.explain(new, old)):
            with self.assertRaisesRegex(nixl.StaleError, "finalize"):
                call()
        self.assertEqual((old._size, new.tobytes()), (3, b"new"))

    def test_wait_after_finalize_tells_how_it_ended(self):
        """Proves: C-02 C-43"""
        handle = nixl.transfer_async(nixl.Buffer.from_host(bytes(1 << 20)), bytearray(1 << 20))
        nixl.finalize()

        self.assertEqual(handle.wait(), nixl.TransferStatus.SUCCESS)
        self.assertIsNone(handle.error)
        self.assertTrue(handle.path)

    def test_arrays_over_the_librarys_memory_survive_it(self):
        """Proves: C-43"""
        buffer = nixl.Buffer.allocate_host(4096)
        nixl.transfer(b"z" * 4096, buffer)
        view = memoryview(buffer._view())

        with self.assertLogs("nixl", "WARNING"):
            nixl.finalize()

        self.assertEqual(bytes(view), b"z" * 4096)
        view.release()

    def test_callbacks_may_use_the_library_meanwhile(self):
        """Proves: S-057 S-087"""
        code = (
            "import nixl, threading\n"
            "size = 1 << 26\n"
            "a, b = nixl.Buffer.from_host(bytes(size)), nixl.Buffer.from_host(bytearray(size))\n"
            "started, go = threading.Event(), threading.Event()\n"
            "def callback(transfer):\n"
            "    started.set(); go.wait(0.3)\n"
            "    nixl.Buffer.from_host(b'12345'); nixl.get_config()\n"
            "    print('made', flush=True)\n"
            "transfer = nixl.transfer_async(a, b, callback=callback)\n"
            "started.wait(20); nixl.finalize(); print('finalized')\n")
        self.assertEqual(child(code, timeout=90).stdout, "made\nfinalized\n")

    def test_in_a_callback_it_is_refused(self):
        """Proves: S-057"""
        ends = []

        def callback(_transfer):
            try:
                nixl.finalize()
            except nixl.BusyError as error:
                ends.append(error)

        nixl.transfer_async(bytes(1 << 22), bytearray(1 << 22), callback=callback).wait()
        self.assertEqual(len(ends), 1)
        self.assertEqual(nixl.transfer(b"1", bytearray(1)).wait(), nixl.TransferStatus.SUCCESS)

    def test_at_exit_with_arrays_over_its_memory(self):
        """Proves: S-057 C-43"""
        process = child("import nixl; keep = nixl.Buffer.allocate_host(64)._view()")

        self.assertEqual(process.stderr, "")

    def test_at_exit_without_calling_it(self):
        """Proves: S-057"""
        process = child(
            "import nixl; b = nixl.Buffer.allocate_host(10); t = nixl.transfer(b'x', b)"
        )

        self.assertEqual(process.stderr, "")

    def test_at_exit_with_everything_in_flight(self):
        """Proves: S-057 S-087"""
        code = ("import nixl\n"
                "a = nixl.Buffer.from_host(bytes(1 << 24)); keep = []\n"
                "for _ in range(20): keep.append(nixl.transfer_async(a, bytearray(1 << 24)))\n"
                "del keep[::2]\n")
        process = child(code)

        self.assertEqual(process.stderr, "")


class Machine(Case):
    def test_capabilities_are_three_booleans_in_order(self):
        """Proves: S-066"""
        found = nixl.get_capabilities()

        self.assertEqual(list(found), ["gdrcopy", "ucx", "gds"])
        self.assertTrue(all(type(value) is bool for value in found.values()))

    def test_verbose_capabilities_give_reasons(self):
        """Proves: S-066"""
        for name, row in nixl.get_capabilities(verbose=True).items():
            with self.subTest(name=name):
                self.assertTrue(row["available"] or row["reason"])

    def test_host_memory(self):
        """Proves: S-062 S-063 C-22"""
        free, total = nixl.get_free_memory(), nixl.get_total_memory()

        self.assertGreater(free, 0)
        self.assertGreaterEqual(total, free)
        self.assertIsInstance(total // 1024**3, int)

    def test_memory_of_a_gpu_that_is_not_there(self):
        """Proves: S-062 S-063"""
        for function in (nixl.get_free_memory, nixl.get_total_memory):
            with self.assertRaises(nixl.NIXLError):
                function(device_id=99)
            with self.assertRaises(nixl.NIXLError):
                function(device_id=-1)

    def test_device_count_is_usable_in_range(self):
        """Proves: S-061"""
        count = nixl.get_device_count()
        driver = os.path.exists("/dev/nvidiactl")
        nodes = [name for name in os.listdir("/dev") if re.match(r"nvidia\d+$", name)]

        self.assertIs(type(count), int)
        self.assertEqual(count, len(range(count)))
        simulated = int(os.environ.get("NIXL_SIM_GPUS") or 0)
        self.assertLessEqual(count, simulated or (len(nodes) if driver else 0))
        for device in range(count, count + 2):
            with self.assertRaises(nixl.NIXLError):
                nixl.get_free_memory(device_id=device)

    def test_gc_returns_bytes_and_keeps_live_buffers(self):
        """Proves: S-064"""
        self.assertEqual(nixl.gc(), 0)
        buffer = nixl.Buffer.allocate_host(100)

        self.assertEqual(nixl.gc(), 0)
        self.assertEqual(buffer.tobytes(), bytes(100))

    def test_gc_gives_staging_memory_back(self):
        """Proves: S-064"""
        nixl.initialize(path_policy="allow", chunk_size="64KB", pipeline_chunks=4)
        store = nixl.FileBackend(self.scratch())
        store.write("x", bytes(1 << 20))
        nixl.transfer(store.object("x"), store.object("y"))

        self.assertGreaterEqual(nixl.gc(), 4 * 65536)
        self.assertEqual(nixl.gc(), 0)

    def test_a_small_pool_serves_large_transfers(self):
        nixl.initialize(path_policy="allow", pool_size="4MB")
        store = nixl.FileBackend(self.scratch())
        content = bytes(range(256)) * (64 << 12)  # 64 MB
        store.write("x", content)
        nixl.transfer(store.object("x"), store.object("y"))
        self.assertEqual(store.read("y"), content)

    def test_audit_log_is_empty_while_it_is_off(self):
        """Proves: S-067"""
        if os.environ.get("NIXL_AUDIT_LOG"):
            self.skipTest("the environment turns it on")
        self.assertEqual(nixl.get_audit_log(), [])
        nixl.initialize(audit_log=os.path.join(self.scratch(), "audit"))
        with self.assertRaisesRegex(nixl.NIXLError, "audit"):
            nixl.get_audit_log()


if __name__ == "__main__":
    unittest.main()
