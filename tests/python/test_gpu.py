# SPDX-License-Identifier: Apache-2.0
"""GPU memory, on simulated GPUs, or with NIXL_TEST_GPU the machine's. Each test has a process of
its own, since a driver loads once."""

import unittest

from support import GPUS, REAL_GPUS, child

GPU_BYTES = 16 << 30  # of a simulated one

PROLOGUE = """
import os, nixl
data = bytearray(os.urandom(3000001))
back = bytearray(len(data))
"""


def count_gpus():
    return int(child("import nixl; print(nixl.get_device_count())", env=GPUS).stdout)


COUNT = count_gpus()
needs_two = unittest.skipIf(COUNT < 2, "needs two GPUs")
simulated_alone = unittest.skipIf(REAL_GPUS, "sizes and numbers are those of the simulation")


@unittest.skipIf(COUNT == 0, "there is no GPU" if REAL_GPUS else
                 "the simulated GPU driver is not installed")
class Gpu(unittest.TestCase):
    def run_code(self, code, **environment):
        """What the code prints, line by line."""
        done = child(PROLOGUE + code, env=dict(GPUS, **environment))
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.split("\n")[:-1]

    @needs_two
    def test_data_travels_over_both_gpus_and_back(self):
        """Proves: S-054 S-073 S-076 S-077 S-085 C-15"""
        lines = self.run_code("""
nixl.initialize(enable_gpu=True)
first = nixl.Buffer.allocate_device(size=len(data))
second = nixl.Buffer.allocate_device(size=len(data), device_id=1)
print(first.device, second.device, first.size)
for source, target in ((data, first), (first, second), (second, back)):
    transfer = nixl.transfer(src=source, dst=target)
    print(transfer.status.name, transfer.path)
print(back == data)
""")
        self.assertEqual(lines, ["cuda:0 cuda:1 3000001", "SUCCESS memcpy+cuda", "SUCCESS cuda",
                                 "SUCCESS cuda+memcpy", "True"])

    def test_pinned_memory_goes_directly(self):
        """Proves: S-075 S-085"""
        lines = self.run_code("""
pinned = nixl.Buffer.from_host(data, pinned=True)
gpu = nixl.Buffer.allocate_device(size=len(data))
print(nixl.transfer(src=pinned, dst=gpu).path)
into = nixl.Buffer.from_host(back, pinned=True)
print(nixl.transfer(src=gpu, dst=into).path, back == data)
""")
        self.assertEqual(lines, ["cuda", "cuda True"])

    def test_small_copies_use_mapped_access_where_it_is(self):
        """Proves: S-031 S-066"""
        code = """
print(nixl.get_capabilities()["gdrcopy"])
small = bytearray(os.urandom(1000))
gpu = nixl.Buffer.allocate_device(size=len(small))
pinned = nixl.Buffer.from_host(small, pinned=True)
into = bytearray(len(small))
transfer = nixl.transfer(src=pinned, dst=gpu)
print(transfer.path["legs"][0]["engine"])
nixl.transfer(src=gpu, dst=nixl.Buffer.from_host(into, pinned=True))
print(into == small)
nixl.transfer(src=small[::-1], dst=gpu)
nixl.transfer(src=gpu, dst=into)
print(into == small[::-1])
"""
        there = self.run_code("print(nixl.get_capabilities()['gdrcopy'])",
                              NIXL_ENABLE_GDRCOPY="true") == ["True"]
        self.assertTrue(there or REAL_GPUS)
        on = self.run_code(code, NIXL_ENABLE_GDRCOPY="true")
        off = self.run_code(code, NIXL_ENABLE_GDRCOPY="false")
        self.assertEqual(off, ["False", "copy engine", "True", "True"])
        self.assertEqual(on[0::2], [str(there), "True"])
        self.assertEqual("GDRCopy" in on[1], there)

    def test_switched_off_mapped_access_is_told(self):
        """Proves: S-031"""
        self.assertEqual(
            self.run_code("print(nixl.get_capabilities(verbose=True)['gdrcopy']['reason'])",
                          NIXL_ENABLE_GDRCOPY="false"),
            ["gdrcopy: switched off by enable_gdrcopy=false"])

    def test_new_memory_is_zeroed_and_has_the_default_size(self):
        """Proves: C-24 S-077"""
        lines = self.run_code("""
gpu = nixl.Buffer.allocate_device()
back = bytearray(b"x" * gpu.size)
nixl.transfer(src=gpu, dst=back)
print(gpu.size, back.count(0))
""")
        self.assertEqual(lines, ["%d %d" % (4 << 20, 4 << 20)])

    @needs_two
    def test_files_and_gpus(self):
        """Proves: S-073 S-098 S-099 C-25"""
        lines = self.run_code("""
import tempfile
gpu = nixl.Buffer.allocate_device(size=len(data))
other = nixl.Buffer.allocate_device(size=len(data), device_id=1)
nixl.transfer(src=data, dst=gpu)
with tempfile.TemporaryDirectory() as folder:
    store = nixl.FileBackend(folder)
    store.write("model.bin", gpu)
    print(store.read("model.bin") == data)
    store.read("model.bin", into=other)
nixl.transfer(src=other, dst=back)
print(back == data)
""")
        self.assertEqual(lines, ["True", "True"])

    @needs_two
    def test_blocks_and_gpus(self):
        """Proves: S-101 S-239"""
        lines = self.run_code("""
import tempfile
gpu = nixl.Buffer.allocate_device(size=1 << 20)
other = nixl.Buffer.allocate_device(size=1 << 20, device_id=1)
nixl.transfer(src=nixl.Buffer.from_host(data[:1 << 20]), dst=gpu)
with tempfile.NamedTemporaryFile() as device:
    device.truncate(4 << 20)
    store = nixl.BlockBackend(device.name, block_size=1 << 20)
    store.write_block(block_id=2, data=gpu)
    print(store.read_block(2) == data[:1 << 20], store.read_block(1) == bytes(1 << 20))
    store.read_block(2, into=other)
nixl.transfer(src=other, dst=back)
print(back[:1 << 20] == data[:1 << 20])
""")
        self.assertEqual(lines, ["True True", "True"])

    @simulated_alone
    def test_older_gpus_say_what_they_cannot_do(self):
        """Proves: S-232"""
        for compute, engine, warnings in (("6.1", "copy engine", 1),
                                          ("8.6", "gather kernel (loads and stores)", 0),
                                          ("9.0", "gather kernel (bulk copies)", 0)):
            with self.subTest(compute=compute):
                done = child(PROLOGUE + """
rows = [[row * 8192, row * 4096, 4096] for row in range(500)]
first, second = (nixl.Buffer.allocate_device(size=4 << 20) for _ in range(2))
nixl.transfer(src=data, dst=first)
for _ in range(2):
    prepared = nixl.prepare(first, second, rows)
    prepared.post().wait()
back = bytearray(second.size)
nixl.transfer(src=second, dst=back)
print(all(back[at:at + 4096] == data[2 * at:2 * at + 4096] for at in range(0, 300 * 4096, 4096)))
print(prepared.path["legs"][0]["engine"])
""", env=dict(GPUS, NIXL_SIM_COMPUTE=compute))
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(done.stdout.splitlines(), ["True", engine])
                self.assertEqual(done.stderr.count("compute capability 6.1 is below 7.0"), warnings,
                                 done.stderr)

    @simulated_alone
    def test_memory_figures_follow_what_is_allocated_and_freed(self):
        """Proves: S-062 S-063 S-065 C-22"""
        lines = self.run_code("""
total, free = nixl.get_total_memory(device_id=1), nixl.get_free_memory(device_id=1)
gpu = nixl.Buffer.allocate_device(size=1 << 30, device_id=1)
print(total, free - nixl.get_free_memory(device_id=1) >= 1 << 30)
gpu.free()
nixl.gc()
print(nixl.get_free_memory(device_id=1) == free, nixl.get_total_memory() != total)
""")
        self.assertEqual(lines, ["%d True" % GPU_BYTES, "True True"])

    def test_out_of_memory_says_what_was_asked_for_and_what_is_left(self):
        """Proves: S-226"""
        lines = self.run_code("""
try:
    nixl.Buffer.allocate_device(size=1 << 40)
except nixl.OutOfMemoryError as error:
    print(isinstance(error, MemoryError), error)
print(nixl.Buffer.allocate_device(size=100).size)
""")
        for part in ("True", "CUDA out of memory", str(1 << 40), "are free", "MemoryPool"):
            self.assertIn(part, lines[0])
        self.assertEqual(lines[1], "100")

    def test_zero_copy_pins_what_is_pageable(self):
        """Proves: S-069 S-115 C-30"""
        done = child(PROLOGUE + """
gpu = nixl.Buffer.allocate_device(size=len(data))
nixl.telemetry.enable()
nixl.transfer(src=data, dst=gpu)
print(nixl.telemetry.get_metrics()["staged_bytes"] == len(data))
nixl.telemetry.reset()
nixl.configure(zero_copy=True)
for _ in range(3):
    print(nixl.transfer(src=data, dst=gpu).path, nixl.transfer(src=gpu, dst=back).path)
pinned = nixl.Buffer.from_host(data, pinned=True)
print(nixl.transfer(src=pinned, dst=gpu).path, nixl.transfer(src=bytes(data), dst=gpu).path)
print(back == data, nixl.telemetry.get_metrics()["staged_bytes"])
buffer = nixl.Buffer.from_host(data)
nixl.transfer(src=buffer, dst=gpu)
buffer.free()
pinned.free()
data += b"x"  # nothing holds it any more
""", env=GPUS)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.splitlines(),
                         ["True"] + ["cuda cuda"] * 4 + ["True 0"])
        self.assertEqual(done.stderr.count("page-locked for transfers"), 1, done.stderr)

    def test_gpu_that_is_not_there(self):
        """Proves: S-063 S-076"""
        lines = self.run_code("""
def refused(make, *arguments, **keywords):
    try:
        make(*arguments, **keywords)
    except Exception as error:
        return error
count = nixl.get_device_count()
for wrong in (-1, 1 << 31, "cuda:0", 1.5, True):
    for make in (nixl.Buffer.allocate_device, nixl.MemoryPool):
        print(type(refused(make, size=1000, device_id=wrong)).__name__)
print(refused(nixl.Buffer.allocate_device, size=1, device_id=count))
print(refused(nixl.get_free_memory, device_id=count))
""")
        self.assertEqual(lines[:10], ["NotFoundError"] * 4 + ["TypeError"] * 6)
        for line in lines[10:]:
            self.assertIn("GPU %d" % COUNT, line)
            self.assertIn("sees %d" % COUNT, line)

    @needs_two
    def test_visible_devices_are_honoured(self):
        """Proves: S-061"""
        for visible, count in (("1", 1), ("0,1", 2), ("", 0), ("-1", 0)):
            with self.subTest(visible=visible):
                lines = self.run_code("print(nixl.get_device_count())",
                                      CUDA_VISIBLE_DEVICES=visible)
                self.assertEqual(lines, [str(count)])

    def test_gpus_that_are_switched_off(self):
        """Proves: C-15 S-061"""
        lines = self.run_code("""
print(nixl.get_device_count())
try:
    nixl.Buffer.allocate_device(size=1)
except nixl.NIXLError as error:
    print(error)
nixl.transfer(src=data, dst=back)
print(back == data)
""", NIXL_ENABLE_GPU="false", NIXL_SIM_GPUS="0")
        self.assertEqual((lines[0], lines[2]), ("0", "True"))
        self.assertIn("enable_gpu=false", lines[1])

    def test_memory_that_the_cpu_cannot_see_is_not_shown(self):
        """Proves: S-076"""
        lines = self.run_code("""
gpu = nixl.Buffer.allocate_device(size=8)
for look in (gpu.tobytes, lambda: gpu.__array_interface__):
    try:
        look()
    except nixl.NIXLError as error:
        print(error)
print(gpu.__cuda_array_interface__["data"][0] != 0)
""")
        self.assertEqual(len(lines), 3)
        self.assertIn("cannot be read by the CPU", lines[0])
        self.assertEqual(lines[2], "True")

    def test_what_others_see_of_a_buffer(self):
        """Proves: S-080"""
        lines = self.run_code("""
gpu = nixl.Buffer.allocate_device(size=24)
seen = gpu.__cuda_array_interface__
print(seen["shape"], seen["typestr"], seen["strides"], seen["stream"])
gpu.free()  # what was lent stays as long as the object that lent it
print(gpu.is_freed and gpu._lent is not None)
for look in (lambda: gpu.__cuda_array_interface__, gpu.__dlpack__):
    try:
        look()
    except nixl.StaleError as error:
        print(error)
pool = nixl.MemoryPool(size=1 << 20, memory_type="managed")
try:
    pool.allocate(8).__dlpack__(copy=True)
except BufferError as error:
    print(error)
class Managed:  # as another library hands it over
    def __init__(self, buffer):
        self.buffer = buffer
        self.__cuda_array_interface__ = buffer.__cuda_array_interface__
theirs = nixl.Buffer.from_host(Managed(pool.allocate(1000)))
nixl.transfer(src=b"m" * 1000, dst=theirs)
print(theirs.tobytes() == b"m" * 1000, theirs.device)
try:
    import numpy
except ImportError:
    print((3, 4), "<f8", (8, 24))
else:
    gpu = nixl.Buffer.allocate_device(size=96)
    nixl.transfer(src=numpy.asfortranarray(numpy.arange(12.0).reshape(3, 4)), dst=gpu)
    seen = gpu.__cuda_array_interface__
    print(seen["shape"], seen["typestr"], seen["strides"])
""")
        self.assertEqual(lines[0], "(24,) |u1 None None")
        self.assertEqual(lines[1], "True")
        self.assertIn("freed", lines[2])
        self.assertIn("freed", lines[3])
        self.assertIn("cuda:0", lines[4])
        self.assertEqual(lines[5:], ["True cuda:0", "(3, 4) <f8 (8, 24)"])

    @simulated_alone
    def test_forked_child_is_told_why_it_cannot_use_gpus(self):
        """Proves: S-094"""
        lines = self.run_code("""
import sys
gpu = nixl.Buffer.allocate_device(size=8)
if os.fork() == 0:
    try:
        nixl.Buffer.allocate_device(size=8)
    except nixl.NIXLError as error:
        print(error)
    sys.stdout.flush()
    os._exit(0)
os.wait()
""")
        self.assertEqual(len(lines), 1)
        self.assertIn("forked", lines[0])


if __name__ == "__main__":
    unittest.main()
