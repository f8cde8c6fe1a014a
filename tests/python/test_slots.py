# SPDX-License-Identifier: Apache-2.0
"""What a call does when all request slots are taken."""

import unittest
import unittest.mock

import nixl
from nixl import _handle
from support import Case, child


class Slots(Case):
    def setUp(self):
        nixl.configure(request_slots=64)
        self.use_faults(hold_rate="1")  # all is in flight until it is cancelled
        self.ends = nixl.Buffer.allocate_host(64), nixl.Buffer.allocate_host(64)
        self.held = []

    def tearDown(self):
        for handle in self.held:
            handle.cancel()
        super().tearDown()

    def take_all(self):
        with self.assertRaises(nixl.LimitError):
            while True:
                self.held.append(nixl.transfer_async(*self.ends))

    def test_a_limit_that_is_reached_costs_one_look_for_handles(self):
        for _ in range(2):  # what was given back before does not count
            self.take_all()
            self.held.pop().cancel()
        self.take_all()
        for call in (nixl.transfer_async, nixl.prepare,
                     lambda *ends: nixl.transfer_async(*ends, deadline=60)):
            with unittest.mock.patch.object(
                    _handle, "_live_transfers", side_effect=_handle._live_transfers) as looks:
                with self.assertRaises(nixl.LimitError):
                    call(*self.ends)
            self.assertEqual(looks.call_count, 1)

    def test_a_finished_post_is_no_slot_to_wait_for(self):
        code = (
            "import nixl\n"
            "nixl.initialize(decorators='fault:memcpy', path_policy='allow', request_slots=64,\n"
            "                **{'fault.hold_rate': '1'})\n"
            "ends = nixl.Buffer.allocate_host(64), nixl.Buffer.allocate_host(64)\n"
            "post, held = nixl.prepare(*ends).post(), []\n"
            "post.cancel(); post.wait()\n"
            "try:\n"
            "    while True: held.append(nixl.transfer_async(*ends))\n"
            "except nixl.LimitError: print(len(held))\n"
            "for handle in held: handle.cancel()\n")
        self.assertEqual(child(code, timeout=90).stdout, "63\n")

    def test_slots_that_others_take_again_and_again_are_not_tried_for_ever(self):
        tries = []

        class Taken(_handle.OwnTransfer):
            """One whose slot another thread takes before this one can."""

            def _settle(self):
                tries.append(self)
                if len(tries) > 10000:
                    raise AssertionError("it has no end")
                return True

        self.take_all()
        with unittest.mock.patch.object(
                _handle, "_live_transfers", lambda: [Taken.__new__(Taken)]):
            with self.assertRaises(nixl.LimitError):
                nixl.transfer_async(*self.ends)
        self.assertGreater(len(tries), 10)

    def test_looks_of_two_threads_keep_no_list_of_each_other(self):
        everything = [object()]
        with unittest.mock.patch("gc.get_objects", lambda: everything):
            _handle._live_transfers()

        self.assertEqual(everything, [])


if __name__ == "__main__":
    unittest.main()
