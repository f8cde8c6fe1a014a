# SPDX-License-Identifier: Apache-2.0
"""What closing the library waits for, how long, and what becomes of the rest."""

import time
import unittest
import unittest.mock
import weakref

import nixl
from nixl import _library
from support import Case, child, in_threads

SUCCESS = nixl.TransferStatus.SUCCESS


class Closing(Case):
    def test_drain_timeout_is_one_time_for_all_that_wait(self):
        """Proves: S-057"""
        seconds = 4  # long beside what a busy machine adds
        self.use_faults(hold_rate="1")
        nixl.configure(drain_timeout=seconds)
        ends = nixl.Buffer.allocate_host(64), nixl.Buffer.allocate_host(64)
        kept = nixl.transfer_async(*ends)
        nixl.prepare(*ends).post(callback=lambda transfer: None)
        start = time.monotonic()
        nixl.finalize()
        took = time.monotonic() - start

        self.assertIsNotNone(kept)
        self.assertGreater(took, seconds)
        self.assertLess(took, 2 * seconds)  # each of the three that wait would take all of it

    def test_handles_that_other_threads_are_making_are_no_matter(self):
        """Few slots, many threads: each looks for finished handles while others make theirs."""
        nixl.configure(request_slots=64)
        ends = nixl.Buffer.allocate_host(64), nixl.Buffer.allocate_host(64)

        def work(_number):
            kept = [nixl.transfer_async(*ends) for _ in range(2000)]
            self.assertTrue(all(handle.done() for handle in kept))

        self.assertEqual(in_threads(4, work), [])

    def test_what_closing_ended_says_so(self):
        """Proves: S-057"""
        self.use_faults(hold_rate="1")
        nixl.configure(drain_timeout="10ms")
        handle = nixl.transfer_async(bytes(64), bytearray(64))
        nixl.finalize()

        self.assertIn("the library was closed; how the transfer ended is not known", handle.error)
        self.assertIn("drain_timeout", handle.error)

    def test_dead_proxies_are_no_matter(self):
        """Whatever else is on the heap is not asked what it is."""
        thing = nixl.Buffer.from_host(b"x")
        proxy = weakref.proxy(thing)
        del thing
        handle = nixl.transfer_async(bytes(64), bytearray(64))
        nixl.finalize()

        self.assertEqual((type(proxy), handle.wait()), (weakref.ProxyType, SUCCESS))

    def test_drain_timeout_is_what_it_was_when_closing_is_refused(self):
        """Proves: S-057"""
        self.use_faults(hold_rate="1")
        nixl.configure(drain_timeout="50ms")
        handle = nixl.transfer_async(bytes(64), bytearray(64))
        with unittest.mock.patch.dict(_library.functions, default_close=lambda: -10):
            with self.assertRaises(nixl.BusyError):
                nixl.finalize()

        self.assertEqual(nixl.get_config()["drain_timeout"].value, 0.05)
        self.assertFalse(handle.done())

    def test_callbacks_of_what_closing_ends_run_once(self):
        """Proves: S-087"""
        code = (
            "import nixl\n"
            "nixl.initialize(decorators='fault:memcpy', drain_timeout='50ms',\n"
            "                **{'fault.hold_rate': '1', 'fault.hold_forever': %r})\n"
            "a, b = nixl.Buffer.allocate_host(64), nixl.Buffer.allocate_host(64)\n"
            "prepared = nixl.prepare(a, b, [(0, 0, 4)])\n"
            "rest = nixl.prepare(a, b, [(0, 0, 4)])\n"
            "prepared.post(callback=lambda t: print('posted', t.status.name))\n"
            "rest.post([0], callback=lambda t: print('picked', t.status.name))\n"
            "nixl.transfer_async(a, b, callback=lambda t: print('started', t.status.name))\n"
            "nixl.finalize()\n")
        for forever in (False, True):
            with self.subTest(forever=forever):
                process = child(code % forever)
                words = process.stdout.split()  # a small copy may be over in spite of it
                self.assertEqual(sorted(words[::2]), ["picked", "posted", "started"])
                self.assertLessEqual(set(words[1::2]), {"CANCELLED", "SUCCESS"})
                self.assertNotIn("Traceback", process.stderr)


if __name__ == "__main__":
    unittest.main()
