# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with GPUs, on simulated ones: lost, full, without a way to each other, of an
older driver; and many threads at once. Each test has a process of its own."""

import unittest

from support import REAL_GPUS, child
from test_gpu import COUNT

PROLOGUE = """
import os, threading, nixl
from nixl import TransferStatus
data = bytearray(os.urandom(3000001))
back = bytearray(4 << 20)
first = nixl.Buffer.allocate_device(size=4 << 20)
second = nixl.Buffer.allocate_device(size=4 << 20, device_id=1)
"""


@unittest.skipIf(REAL_GPUS, "faults are those of the simulation")
@unittest.skipIf(COUNT < 2, "the simulated GPU driver is not installed")
class GpuFaults(unittest.TestCase):
    def run_code(self, code, prologue=PROLOGUE, **environment):
        """What the code prints, line by line."""
        done = child(prologue + code, env=dict({"NIXL_SIM_GPUS": "2"}, **environment))
        self.errors = done.stderr
        return done.stdout.splitlines()

    def test_a_lost_gpu_is_told_to_every_transfer_on_it(self):
        """Proves: S-089 S-094"""
        lines = self.run_code("""
pinned = nixl.Buffer.from_host(data, pinned=True)
rows = [[at, at, 256] for at in range(0, 1 << 20, 512)]
scattered = nixl.prepare(pinned, second, rows)
transfers = [nixl.transfer_async(src=pinned, dst=second) for _ in range(8)] + [scattered.post()]
for transfer in transfers:
    transfer.wait(timeout=60)
print(transfers[-1].status.name, transfers[-1].error)
names = [transfer.status.name for transfer in transfers]
print(names[0], names.index("FAILED") < 6, set(names[names.index("FAILED"):]))
for again in (lambda: nixl.transfer(src=data, dst=second), lambda: scattered.post().wait(),
              lambda: nixl.transfer(src=first, dst=second)):
    try:
        print(again().name)
    except nixl.NIXLError as error:
        print("ECC" in str(error))
nixl.transfer(src=data, dst=first)
nixl.transfer(src=first, dst=back)
print(back[:len(data)] == data)
second.free()
nixl.finalize()
print("ended")
""", NIXL_SIM_FAULTS="lost@6,slow=1000")
        self.assertIn("FAILED", lines[0])
        self.assertIn("ECC", lines[0])
        self.assertEqual(lines[1:], ["SUCCESS True {'FAILED'}", "True", "FAILED", "True", "True",
                                     "ended"], self.errors)

    def test_no_memory_at_any_step_is_an_error_and_the_next_try_works(self):
        """Proves: S-226"""
        for step in range(1, 16):
            with self.subTest(step=step):
                lines = self.run_code("""
def work():
    first = nixl.Buffer.allocate_device(size=4 << 20)
    pool = nixl.MemoryPool(size=1 << 20)
    of_pool = pool.allocate(1 << 16)
    nixl.transfer(src=data, dst=first)
    prepared = nixl.prepare(first, of_pool, [[at * 2, at, 64] for at in range(0, 1 << 15, 64)])
    prepared.post().wait()
    nixl.transfer(src=first, dst=back)
    del prepared
    of_pool.free()
    pool.free()
    return back[:len(data)] == data
for _ in range(3):
    try:
        print(work())
    except MemoryError as error:
        print("MemoryError")
""", prologue="import os, nixl\ndata = os.urandom(3000001)\nback = bytearray(4 << 20)\n",
                                      NIXL_SIM_FAULTS="oom@%d" % step)
                self.assertEqual(len(lines), 3, self.errors)
                self.assertLessEqual(lines.count("MemoryError"), 1)
                self.assertEqual(set(lines) - {"MemoryError"}, {"True"})

    def test_pages_that_cannot_be_locked(self):
        """Proves: S-075 C-30"""
        lines = self.run_code("""
pinned = nixl.Buffer.from_host(data, pinned=True)
for _ in range(2):
    try:
        print(nixl.transfer(src=pinned, dst=first).status.name)
    except MemoryError as error:
        print(error)
nixl.transfer(src=first, dst=back)
print(back[:len(data)] == data)
""", NIXL_SIM_FAULTS="register@1")
        self.assertEqual(len(lines), 3, self.errors)
        self.assertIn("page-locking", lines[0])
        self.assertIn("ulimit -l", lines[0])
        self.assertEqual(lines[1:], ["SUCCESS", "True"])

    def test_finalize_with_transfers_in_flight(self):
        """Proves: C-43"""
        lines = self.run_code("""
pinned = nixl.Buffer.from_host(data, pinned=True)
transfers = [nixl.transfer_async(src=pinned, dst=gpu) for gpu in (first, second) * 8]
transfers += [nixl.transfer_async(src=data, dst=gpu) for gpu in (first, second)]
nixl.finalize()
print(all(transfer.wait() in (TransferStatus.SUCCESS, TransferStatus.CANCELLED,
                              TransferStatus.FAILED) for transfer in transfers))
for buffer in (first, pinned, second):
    buffer.free()
nixl.initialize()
gpu = nixl.Buffer.allocate_device(size=len(data))
nixl.transfer(src=data, dst=gpu)
nixl.transfer(src=gpu, dst=back)
print(back[:len(data)] == data)
""", NIXL_SIM_FAULTS="slow=2000")
        self.assertEqual(lines, ["True", "True"], self.errors)

    def test_thirty_two_threads_at_once(self):
        """Proves: S-094"""
        lines = self.run_code("""
wrong, start = [], threading.Barrier(32)
def work(number):
    start.wait(60)
    for turn in range(5):
        size = 1000 + 4099 * number + turn
        mine, there = os.urandom(size), bytearray(size)
        near = nixl.Buffer.allocate_device(size=size, device_id=number % 2)
        far = nixl.Buffer.allocate_device(size=size, device_id=1 - number % 2)
        nixl.transfer(src=mine, dst=near)
        nixl.transfer(src=near, dst=far)
        nixl.transfer(src=far, dst=there)
        if there != mine:
            wrong.append((number, turn))
threads = [threading.Thread(target=work, args=(number,)) for number in range(32)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(wrong)
""")
        self.assertEqual(lines, ["[]"], self.errors)

    def test_gpus_without_a_way_to_each_other(self):
        """Allocations of every sort still move, carried through the host by the driver.

        Proves: S-085
        """
        lines = self.run_code("""
small = nixl.Buffer.allocate_device(size=100000)
for near, far in ((first, second), (second, first), (small, second), (second, small)):
    size = min(near.size, far.size, len(data))
    nixl.transfer(src=data[:min(size, near.size)], dst=near)
    rows = [[at, at, 100] for at in range(0, size - 100, 200)]
    nixl.transfer(src=bytes(far.size), dst=far)
    prepared = nixl.prepare(near, far, rows)
    prepared.post().wait()
    nixl.transfer(src=far, dst=(there := bytearray(far.size)))
    print(all(there[at:at + 100] == data[at:at + 100] for at in range(0, size - 100, 200)),
          prepared.path["legs"][0]["engine"])
""", NIXL_SIM_PEERS="0")
        self.assertEqual(lines, ["True copy engine"] * 4, self.errors)

    def test_an_older_driver_has_all_but_what_it_cannot_tell(self):
        """Proves: S-014"""
        lines = self.run_code("""
nixl.transfer(src=data, dst=first)
for near, far in ((first, second), (second, first)):
    prepared = nixl.prepare(near, far, [[at, at, 256] for at in range(0, 3 << 20, 256)])
    prepared.post().wait()
    print(prepared.path["legs"][0]["engine"].split(" (")[0])
nixl.transfer(src=first, dst=back)
print(back[:len(data)] == data)
""", NIXL_SIM_DRIVER="11040")
        self.assertEqual(lines[2], "True", self.errors)


if __name__ == "__main__":
    unittest.main()
