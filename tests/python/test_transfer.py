# SPDX-License-Identifier: Apache-2.0
"""transfer and transfer_async: data, sizes, errors, waiting, threads, signals."""

import asyncio
import ctypes
import gc
import signal
import threading
import time
import unittest
import weakref

import nixl
from support import Case, child, in_threads, until

SUCCESS = nixl.TransferStatus.SUCCESS
# What a cancelled transfer may end with: its bytes may have arrived before.
CANCELLED_OR_NOT = (nixl.TransferStatus.CANCELLED, SUCCESS)


class Blocking(Case):
    def test_is_complete_on_return(self):
        """Proves: S-085 C-01 S-088 S-089"""
        for size in (0, 1, 63, 64, 65, 4095, 131071, 131072, 131073, (1 << 24) + 1):
            with self.subTest(size=size):
                source, target = bytes(b"\xa5" * size), bytearray(size)
                handle = nixl.transfer(src=source, dst=target)
                self.assertEqual(target, source)
                self.assertEqual((handle.status, handle.error), (SUCCESS, None))

    def test_wait_on_the_finished_handle(self):
        """Proves: S-086 C-02"""
        handle = nixl.transfer(b"abc", bytearray(3))

        self.assertEqual((handle.wait(), handle.wait(timeout=0)), (SUCCESS, SUCCESS))

    def test_smaller_source_leaves_the_rest(self):
        """Proves: S-092"""
        target = bytearray(b"......")
        nixl.transfer(b"abc", target)

        self.assertEqual(target, b"abc...")

    def test_larger_source_moves_nothing(self):
        """Proves: S-092"""
        target = bytearray(b"...")
        with self.assertRaises(nixl.NIXLError) as caught:
            nixl.transfer(b"abcd", target)

        self.assertIsInstance(caught.exception, ValueError)
        self.assertEqual(target, b"...")

    def test_wrong_arguments(self):
        """Proves: S-093"""
        for source, target in (
            (None, bytearray(1)),
            (b"x", None),
            (3, bytearray(1)),
            (b"x", "text"),
        ):
            with self.assertRaises(TypeError):
                nixl.transfer(source, target)
        with self.assertRaises(TypeError):
            nixl.transfer(b"x", bytearray(1), bogus=1)
        with self.assertRaises(ValueError):
            nixl.transfer(b"x", bytearray(1), path_policy="bogus")
        with self.assertRaises(ValueError):
            nixl.transfer(b"x", bytearray(1), deadline=0)

    def test_path_and_explain_agree(self):
        """Proves: S-073 S-222"""
        source, target = nixl.Buffer.from_host(b"x" * 100), nixl.Buffer.allocate_host(100)
        plan = nixl.explain(source, target)
        handle = nixl.transfer(source, target)

        self.assertEqual(str(handle.path), str(plan))
        self.assertTrue(plan["name"])
        self.assertEqual(handle.bytes_done, 100)

    def test_require_direct_is_met_by_memory(self):
        self.assertEqual(
            nixl.transfer(b"x", bytearray(1), path_policy="require_direct").status, SUCCESS)

    def test_from_many_threads_at_once(self):
        """Proves: S-094"""

        def work(number):
            data = bytes([number]) * 10000
            for _ in range(200):
                target = bytearray(10000)
                nixl.transfer(data, target)
                self.assertEqual(target, data)

        self.assertEqual(in_threads(8, work), [])

    def test_handles_that_are_kept_do_not_use_up_the_slots(self):
        """Proves: S-087"""
        nixl.initialize(request_slots=64)
        source, target = nixl.Buffer.from_host(b"abc"), nixl.Buffer.from_host(bytearray(3))
        handles = [nixl.transfer(source, target) for _ in range(500)]

        self.assertTrue(all(handle.status == SUCCESS for handle in handles))
        self.assertTrue(all(handle.path for handle in handles))


class Failing(Case):
    def setUp(self):
        self.use_faults(error_rate="1")

    def test_blocking_raises_and_carries_the_handle(self):
        """Proves: C-01 S-089"""
        with self.assertRaises(nixl.TransferError) as caught:
            nixl.transfer(bytes(100), bytearray(100))

        handle = caught.exception.transfer
        self.assertEqual(handle.status, nixl.TransferStatus.FAILED)
        self.assertEqual(handle.error, str(handle.exception()))
        self.assertTrue(handle.error)

    def test_status_style_returns_the_handle(self):
        """Proves: C-01"""
        nixl.configure(raise_on_error=False)
        handle = nixl.transfer(bytes(100), bytearray(100))

        self.assertEqual(handle.status, nixl.TransferStatus.FAILED)
        self.assertTrue(handle.error)
        with self.assertRaises(nixl.OutOfRangeError):
            nixl.transfer(b"12", bytearray(1))

    def test_async_wait_returns_the_status(self):
        """Proves: C-01 C-02"""
        handle = nixl.transfer_async(bytes(100), bytearray(100))

        self.assertEqual(handle.wait(), nixl.TransferStatus.FAILED)
        self.assertIsInstance(handle.exception(), nixl.NIXLError)

    def test_a_failure_that_nobody_looks_at_is_logged(self):
        """Proves: C-01 S-087"""
        with self.assertLogs("nixl", "ERROR") as logged:
            nixl.transfer_async(bytes(100), bytearray(100))
            gc.collect()
            self.assertTrue(until(lambda: logged.output))

        self.assertIn("nobody looked", logged.output[0])

    def test_a_post_that_nobody_looks_at_is_logged_with_its_reason(self):
        """Proves: C-01 S-087"""
        prepared = nixl.prepare(bytes(100), bytearray(100))
        with self.assertLogs("nixl", "ERROR") as logged:
            for _ in range(3):
                prepared.post()
            seen = prepared.post()
            seen.wait()
            reason = seen.error
            prepared.post()
            del prepared, seen
            gc.collect()

        self.assertEqual(len(logged.output), 4)
        self.assertTrue(all(reason in line for line in logged.output), logged.output)

    def test_a_failure_that_finalize_finds_is_logged_with_its_reason(self):
        """Proves: C-01 S-057"""
        looked_at = nixl.transfer_async(bytes(100), bytearray(100))
        reason = looked_at.error
        handle = nixl.transfer_async(bytes(100), bytearray(100))
        with self.assertLogs("nixl", "ERROR") as logged:
            nixl.finalize()

        self.assertEqual(len(logged.output), 1)
        self.assertIn(reason, logged.output[0])
        self.assertEqual(handle.status, nixl.TransferStatus.FAILED)

    def test_the_next_transfer_is_not_hurt(self):
        with self.assertRaises(nixl.TransferError):
            nixl.transfer(bytes(100), bytearray(100))
        nixl.finalize()

        self.assertEqual(nixl.transfer(bytes(100), bytearray(100)).status, SUCCESS)


class InFlight(Case):
    """With a backend that holds every completion back until the transfer is cancelled."""

    def setUp(self):
        self.use_faults(hold_rate="1")
        self.source, self.target = bytes(1 << 16), bytearray(1 << 16)

    def start(self, **options):
        return nixl.transfer_async(self.source, self.target, **options)

    def end(self, handle):
        handle.cancel()
        return handle.wait(20)

    def test_wait_with_a_timeout_leaves_it_going(self):
        """Proves: S-086 C-02 S-088"""
        handle = self.start()

        self.assertEqual(handle.wait(timeout=0.01), nixl.TransferStatus.TIMEOUT)
        self.assertEqual(handle.status, nixl.TransferStatus.IN_PROGRESS)
        self.assertFalse(handle.done())
        self.assertIsNone(handle.error)
        self.end(handle)

    def test_cancel(self):
        """Proves: S-088"""
        nixl.finalize()
        nixl.initialize(decorators="fault:memcpy,limit:memcpy", path_policy="allow",
                        **{"fault.hold_rate": "1", "limit.depth": "1"})
        runs = [(2 * i, 2 * i, 1) for i in range(32000)]
        handle = nixl.prepare(self.source, self.target, runs).post()

        self.assertEqual(self.end(handle), nixl.TransferStatus.CANCELLED)
        handle.cancel()
        self.assertEqual(handle.status, nixl.TransferStatus.CANCELLED)
        self.assertIn("cancelled", handle.error)

    def test_deadline(self):
        """Proves: S-088"""
        handle = self.start(deadline=0.05)

        self.assertEqual(handle.wait(20), nixl.TransferStatus.TIMEOUT)
        self.assertIsInstance(handle.exception(), TimeoutError)
        with self.assertRaises(nixl.TransferTimeout) as caught:
            handle.raise_if_failed()
        self.assertIs(caught.exception.transfer, handle)
        self.assertIsInstance(caught.exception, nixl.TransferError)

    def test_stream_that_nothing_would_wait_for(self):
        with self.assertRaisesRegex(nixl.UnsupportedError, "no GPU moves any of its bytes"):
            nixl.transfer_async(self.source, self.target, stream=1)

    def test_other_threads_run_during_a_wait(self):
        """Proves: S-086"""
        handle, counted = self.start(), []

        def count():
            for number in range(1000):
                counted.append(number)
            handle.cancel()

        thread = threading.Thread(target=count)
        thread.start()
        end = handle.wait(20)  # without the interpreter's lock, or nobody could cancel it
        thread.join()
        self.assertIn(end, CANCELLED_OR_NOT)
        self.assertEqual(len(counted), 1000)

    def test_times_without_end_and_next_to_none(self):
        """Proves: S-086 S-088"""
        for options in ({"deadline": float("inf")}, {"deadline": 1e30}, {}):
            handle = self.start(**options)
            threading.Timer(0.05, handle.cancel).start()
            self.assertIn(handle.wait(float("inf")), CANCELLED_OR_NOT)
        self.assertEqual(self.start(deadline=1e-10).wait(20), nixl.TransferStatus.TIMEOUT)
        handle = self.start()
        with self.assertRaises(ValueError):
            handle.wait(float("nan"))
        with self.assertRaises(ValueError):
            self.start(deadline=float("nan"))
        self.end(handle)

    def test_two_threads_wait_for_one(self):
        """Proves: C-02"""
        handle, ends = self.start(), []
        threads = [threading.Thread(target=lambda: ends.append(handle.wait(20))) for _ in range(2)]
        for thread in threads:
            thread.start()
        handle.cancel()
        for thread in threads:
            thread.join()

        self.assertEqual(len(ends), 2)
        self.assertEqual(ends[0], ends[1])
        self.assertIn(ends[0], CANCELLED_OR_NOT)

    def test_both_ends_are_kept_alive(self):
        """Proves: S-087"""

        class Owner(bytearray):
            pass

        data = Owner(1 << 16)
        alive = weakref.ref(data)
        handle = nixl.transfer_async(nixl.Buffer.from_host(data), self.target)
        del data
        gc.collect()
        self.assertIsNotNone(alive())
        self.end(handle)
        del handle
        gc.collect()
        self.assertIsNone(alive())

    def test_a_wait_in_a_callback_says_busy_and_changes_nothing(self):
        """Proves: C-02"""
        nixl.finalize()
        self.use_faults("posix", hold_rate="1")
        store = nixl.FileBackend(self.scratch())
        held, answers = nixl.transfer_async(self.source, store.object("x")), []

        def callback(_transfer):
            for wait in (held.wait, lambda: nixl.transfer(self.source, store.object("y"))):
                try:
                    answers.append(wait())
                except nixl.BusyError as error:
                    answers.append(error)

        large = bytes(1 << 25)
        nixl.transfer_async(large, bytearray(1 << 25), callback=callback)
        self.assertTrue(until(lambda: len(answers) == 2))

        self.assertEqual([type(answer) for answer in answers], [nixl.BusyError] * 2)
        self.assertEqual(held.status, nixl.TransferStatus.IN_PROGRESS)
        self.assertIn(self.end(held), CANCELLED_OR_NOT)

    def test_a_callback_that_is_added_while_it_ends(self):
        """Proves: S-087"""
        from nixl import _handle
        handle, seen, real = self.start(), [], _handle.Transfer._more

        def more(transfer):  # the end is seen just before watch() adds its callback
            _handle.Transfer._more = real
            thread = threading.Thread(target=self.end, args=(handle,))
            thread.start()
            thread.join()
            return real(transfer)

        _handle.Transfer._more = more
        self.addCleanup(setattr, _handle.Transfer, "_more", real)
        handle.add_done_callback(seen.append)

        self.assertTrue(until(lambda: seen, 5))
        self.assertEqual(seen, [handle])

    def test_ctrl_c_ends_a_wait(self):
        """Proves: S-086"""
        code = (
            "import nixl, sys\n"
            "nixl.initialize(decorators='fault:memcpy', **{'fault.hold_rate': '1'})\n"
            "t = nixl.transfer_async(bytes(1 << 16), bytearray(1 << 16))\n"
            "print('waiting', flush=True)\n"
            "try:\n"
            "    t.wait()\n"
            "except KeyboardInterrupt:\n"
            "    print('interrupted', t.status)\n"
            "t.cancel(); print(t.wait(20) != nixl.TransferStatus.TIMEOUT)\n")
        output = interrupted(code)

        self.assertEqual(output, "interrupted IN_PROGRESS\nTrue\n")

    def test_ctrl_c_ends_a_blocking_transfer(self):
        """Proves: S-086"""
        code = (
            "import nixl, sys\n"
            "nixl.initialize(decorators='fault:memcpy', **{'fault.hold_rate': '1'})\n"
            "print('waiting', flush=True)\n"
            "try:\n"
            "    nixl.transfer(bytes(%d), bytearray(%d))\n"
            "except KeyboardInterrupt:\n"
            "    print('interrupted')\n")
        for size in (100, 1 << 16):
            with self.subTest(size=size):
                self.assertEqual(interrupted(code % (size, size)), "interrupted\n")


def interrupted(code):
    """What a child prints after its first line, being sent SIGINT until it ends."""
    import os
    import subprocess
    import sys
    environment = dict(os.environ)
    environment.setdefault("PYTHONPATH", os.path.dirname(os.path.dirname(nixl.__file__)))
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        env=environment,
        universal_newlines=True,
        # Whoever runs the tests in the background may have had it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        process.stdout.readline()
        in_wait = "/proc/%d/syscall" % process.pid
        until(lambda: _sleeps(in_wait), 5)
        process.send_signal(signal.SIGINT)
        return process.communicate(timeout=90)[0]
    finally:
        process.kill()
        process.wait()


def _sleeps(path):
    """Whether the main thread is in a futex wait or another sleeping call."""
    try:
        with open(path) as file:
            return file.read().split()[0] not in ("running", "0", "1")
    except OSError:
        return True


class Async(Case):
    def test_progress_needs_no_further_calls(self):
        """Proves: S-087"""
        target = bytearray(1 << 22)
        handle = nixl.transfer_async(b"\x01" * (1 << 22), target)

        self.assertTrue(until(lambda: target[-1] == 1))
        self.assertEqual(handle.wait(), SUCCESS)

    def test_ten_thousand_in_flight(self):
        """Proves: S-087"""
        nixl.initialize(decorators="fault:memcpy", path_policy="allow", request_slots=16384,
                        **{"fault.hold_rate": "1"})
        source = nixl.Buffer.from_host(b"x" * 4096)
        target = nixl.Buffer.from_host(bytearray(4096))
        handles = [nixl.transfer_async(source, target) for _ in range(10000)]

        self.assertEqual(sum(handle.done() for handle in handles), 0)
        for handle in handles:
            handle.cancel()
        self.assertTrue(all(handle.wait(60) in CANCELLED_OR_NOT for handle in handles))

    def test_a_dropped_handle_still_completes(self):
        """Proves: S-087"""
        target = bytearray(1 << 24)
        nixl.transfer_async(b"\x01" * (1 << 24), target)

        self.assertTrue(until(lambda: target[-1] == 1))

    def test_callback_runs_once_before_wait_returns(self):
        """Proves: S-087"""
        for size in (10, 1 << 22):
            seen = []
            handle = nixl.transfer_async(bytes(size), bytearray(size),
                                         callback=lambda t: seen.append(t.status))
            handle.wait()
            self.assertEqual(seen, [SUCCESS])

    def test_wait_returns_after_a_slow_callback(self):
        """Proves: S-087"""
        seen, inside = [], threading.Event()

        def callback(handle):
            inside.set()
            threading.Event().wait(0.1)
            seen.append(handle.wait())  # its own: at once

        handle = nixl.transfer_async(bytes(1 << 22), bytearray(1 << 22), callback=callback)
        inside.wait(20)
        self.assertEqual((handle.wait(), seen), (SUCCESS, [SUCCESS]))

    def test_a_callback_may_start_the_next(self):
        """Proves: S-087"""
        target, ends = bytearray(2), []

        def again(_transfer):
            ends.append(nixl.transfer_async(b"22", target, callback=ends.append))

        nixl.transfer_async(b"11", target, callback=again).wait()

        self.assertTrue(until(lambda: len(ends) == 2))
        self.assertEqual(target, b"22")

    def test_an_exception_in_a_callback_is_logged_and_goes_no_further(self):
        """Proves: S-087"""
        with self.assertLogs("nixl", "ERROR") as logged:
            handle = nixl.transfer_async(b"1", bytearray(1), callback=lambda t: 1 / 0)
            self.assertEqual(handle.wait(), SUCCESS)
            self.assertTrue(until(lambda: logged.output))

        self.assertIn("ZeroDivisionError", logged.output[0])

    def test_a_callback_that_is_none_is_refused(self):
        """Proves: S-093"""
        with self.assertRaises(TypeError):
            nixl.transfer_async(b"1", bytearray(1), callback=3)

    def test_callbacks_added_later(self):
        """Proves: S-087"""
        handle, seen = nixl.transfer_async(bytes(1 << 22), bytearray(1 << 22)), []
        handle.add_done_callback(lambda t: seen.append(t is handle))
        handle.add_done_callback(lambda t: seen.append(t is handle))

        self.assertTrue(until(lambda: seen == [True, True]))
        handle.add_done_callback(seen.append)
        self.assertIs(seen[2], handle)

    def test_await(self):
        """Proves: S-087"""

        async def one(size):
            target = bytearray(size)
            status = await nixl.transfer_async(b"\x02" * size, target)
            return status, target.count(2) == size

        async def many():
            return await asyncio.gather(*[one(size) for size in (0, 1, 5000, 1 << 20, 1 << 23)])

        self.assertEqual(asyncio.run(many()), [(SUCCESS, True)] * 5)

    def test_await_that_is_given_up_leaves_the_transfer_alone(self):
        """Proves: S-087"""
        self.use_faults(hold_rate="1")

        async def main():
            handle = nixl.transfer_async(bytes(1 << 16), bytearray(1 << 16))

            async def wait_for_it():
                await handle

            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(wait_for_it(), 0.02)
            self.assertFalse(handle.done())
            handle.cancel()
            return await handle

        self.assertIn(asyncio.run(main()), CANCELLED_OR_NOT)

    def test_no_thread_is_left_when_nothing_is_watched(self):
        """Proves: S-087"""
        from nixl import _watch
        nixl.transfer_async(bytes(1 << 22), bytearray(1 << 22)).add_done_callback(lambda t: None)

        self.assertTrue(until(lambda: not _watch._running))


class Examples(Case):
    def test_basic_transfer_with_host_memory_at_both_ends(self):
        """Proves: S-238"""
        code = (
            "import nixl\n"
            "try:\n"
            "    nixl.initialize()\n"
            "    cpu_data = bytes(4000000)\n"
            "    cpu_buffer = nixl.Buffer.from_host(cpu_data)\n"
            "    other = nixl.Buffer.allocate_host(len(cpu_data))\n"
            "    transfer = nixl.transfer(src=cpu_buffer, dst=other)\n"
            "    transfer.wait()\n"
            "    nixl.transfer_async(src=cpu_buffer, dst=other).wait()\n"
            "    print(f'Transfer completed: {cpu_buffer.size / 1e9:.2f} GB')\n"
            "finally:\n"
            "    cpu_buffer.free(); other.free(); nixl.finalize()\n")
        self.assertEqual(child(code).stdout, "Transfer completed: 0.00 GB\n")

    def test_time_around_the_call_is_the_time_of_the_copy(self):
        """Proves: S-095"""
        nixl.initialize()
        source, target = nixl.Buffer.allocate_host(100 << 20), nixl.Buffer.allocate_host(100 << 20)
        for buffer in (source, target):
            ctypes.memset(buffer._address, 1, buffer.size)  # every page is there

        def once(call):
            start = time.perf_counter()
            call()
            return time.perf_counter() - start

        def move():
            nixl.transfer(source, target).wait()

        first = once(move)
        ours = [once(move) for _ in range(7)]
        raw = [once(lambda: ctypes.memmove(target._address, source._address, source.size))
               for _ in range(7)]

        # Four threads at most are at work, and nothing but the copy is.
        self.assertGreater(min(ours), min(raw) / 8)
        self.assertLess(min(ours), 3 * min(raw))
        # The start of the library is not in it; a busy machine may be.
        self.assertLess(first, 10 * max(ours) + 0.05)


if __name__ == "__main__":
    unittest.main()
