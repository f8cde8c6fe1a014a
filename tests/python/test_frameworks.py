# SPDX-License-Identifier: Apache-2.0
"""PyTorch's and CuPy's GPU memory, in and out without a copy. Needs a real GPU: those libraries
cannot see the memory of a simulated one. `./dev test --gpu` runs it."""

import os
import unittest

import nixl
from support import Case, child, has_torch

try:
    import cupy
except ImportError:
    cupy = None


# Tensors of one block and of several, as a program registers them.
BETWEEN_TWO_GPUS = """
import nixl, torch
for megabytes in (1, 50, 300):
    near = torch.arange(megabytes << 18, device="cuda:0", dtype=torch.int32)
    far = torch.zeros_like(near, device="cuda:1")
    for source, target in ((near, far), (far, near)):
        target.zero_()
        path = nixl.transfer(src=source, dst=target).path
        assert str(path).split()[0] == "cuda", path
        assert torch.equal(near.cpu(), far.cpu()), megabytes
    far.zero_()
    torch.cuda.synchronize(1)
    every_other = [[start, start, 1024] for start in range(0, near.nbytes, 2048)]
    prepared = nixl.prepare(near, far, every_other)
    prepared.post().wait()
    picked = slice(0, None, 2)
    assert torch.equal(far.view(-1, 256)[picked].cpu(), near.view(-1, 256)[picked].cpu()), megabytes
    assert "kernel" in prepared.path["legs"][0]["engine"], prepared.path["legs"]
"""


def torch_with_cuda():
    if not os.environ.get("NIXL_TEST_GPU") or not has_torch():
        return None
    import torch
    return torch if torch.cuda.is_available() else None


torch = torch_with_cuda()
needs_cuda_torch = unittest.skipIf(
    torch is None, "needs PyTorch with CUDA and a real GPU (NIXL_TEST_GPU=1)")
needs_cupy = unittest.skipIf(
    cupy is None or not os.environ.get("NIXL_TEST_GPU"),
    "needs CuPy and a real GPU (NIXL_TEST_GPU=1)")


@needs_cuda_torch
class Torch(Case):
    def test_there_and_back(self):
        """Proves: S-078 S-079 C-28"""
        for kind in ("float32", "float16", "bfloat16", "int64", "bool", "complex64", "uint8"):
            with self.subTest(dtype=kind):
                source = (torch.randn(37, 5) * 10).to(getattr(torch, kind))
                buffer = nixl.Buffer.from_torch(source)
                gpu = nixl.Buffer.allocate_device(size=buffer.size)
                nixl.transfer(src=buffer, dst=gpu)
                result = gpu.to_torch()
                self.assertEqual((str(result.device), result.dtype, result.shape),
                                 ("cuda:0", source.dtype, source.shape))
                self.assertTrue(torch.equal(result.cpu(), source))
                result[0, 0] = 1  # the same memory, not a copy of it
                torch.cuda.synchronize()
                back = torch.empty_like(source)
                nixl.transfer(src=gpu, dst=back)
                self.assertTrue(torch.equal(back, result.cpu()))

    def test_cuda_tensors_are_ends_of_transfers(self):
        """Proves: S-078"""
        source = torch.arange(1000.0, device="cuda").reshape(10, 100)
        target = torch.zeros(10, 100, device="cuda")
        self.assertEqual(str(nixl.transfer(src=source, dst=target).path).split()[0], "cuda")
        self.assertTrue(torch.equal(source, target))
        host = torch.zeros(10, 100)
        nixl.transfer(src=source, dst=host)
        self.assertTrue(torch.equal(source.cpu(), host))
        buffer = nixl.Buffer.from_torch(source)
        self.assertEqual((buffer.device, buffer.shape), ("cuda:0", (10, 100)))

    def test_the_second_gpu(self):
        """Proves: S-078 S-079"""
        if torch.cuda.device_count() < 2:
            self.skipTest("this machine has one GPU")
        source = torch.arange(1000.0, device="cuda:1")
        gpu = nixl.Buffer.allocate_device(size=source.nbytes, device_id=1)
        nixl.transfer(src=source, dst=gpu)
        self.assertTrue(torch.equal(gpu.to_torch(), source))
        target = torch.zeros(1000, device="cuda:0")
        nixl.transfer(src=source, dst=target)
        self.assertTrue(torch.equal(target.cpu(), source.cpu()))

    def test_other_allocators_of_torch(self):
        """Memory that keeps a list of the GPUs that may touch it: mappings and a pool.

        Proves: S-078
        """
        if torch.cuda.device_count() < 2:
            self.skipTest("this machine has one GPU")
        for allocator in ("expandable_segments:True", "backend:cudaMallocAsync"):
            with self.subTest(allocator=allocator):
                child(BETWEEN_TWO_GPUS, env={"PYTORCH_CUDA_ALLOC_CONF": allocator})

    def test_allocated_memory_serves_torch_on_both_gpus(self):
        """Proves: S-079"""
        if torch.cuda.device_count() < 2:
            self.skipTest("this machine has one GPU")
        source = torch.randn(1 << 20, device="cuda:0")
        gpu = nixl.Buffer.allocate_device(size=source.nbytes, device_id=1)
        tensor = gpu.to_torch(dtype=torch.float32)
        tensor.copy_(source)
        self.assertTrue(torch.equal(tensor.cpu(), source.cpu()))
        self.assertTrue(torch.equal(tensor.to("cuda:0"), source))

    def test_work_that_is_queued_is_waited_for(self):
        """Proves: S-078"""
        large = torch.randn(4096, 4096, device="cuda")
        out = nixl.Buffer.allocate_device(size=large.nbytes)
        for stream in (torch.cuda.current_stream(), torch.cuda.Stream()):
            with torch.cuda.stream(stream):
                stream.wait_stream(torch.cuda.default_stream())
                product = large
                for _ in range(20):
                    product = product @ large
                    product = product / product.abs().max()
                nixl.transfer(src=product, dst=out)  # nothing has synchronized yet
            torch.cuda.synchronize()
            self.assertTrue(torch.equal(out.to_torch(), product))

    def test_work_on_the_second_gpu_is_waited_for(self):
        """Proves: S-078"""
        if torch.cuda.device_count() < 2:
            self.skipTest("this machine has one GPU")
        product = large = torch.randn(4096, 4096, device="cuda:1")
        out = nixl.Buffer.allocate_device(size=large.nbytes, device_id=1)
        for _ in range(20):
            product = product @ large
            product = product / product.abs().max()
        nixl.transfer(src=product, dst=out)  # while GPU 0 is the current one
        self.assertTrue(torch.equal(out.to_torch(), product))

    def test_dlpack_of_a_stream_of_its_own(self):
        """Proves: S-078"""
        with torch.cuda.stream(torch.cuda.Stream()):
            product = large = torch.randn(4096, 4096, device="cuda")
            for _ in range(20):
                product = product @ large
                product = product / product.abs().max()
            buffer = nixl.Buffer.from_dlpack(product)
            out = nixl.Buffer.allocate_device(size=large.nbytes)
            nixl.transfer(src=buffer, dst=out)
            torch.cuda.synchronize()
            self.assertTrue(torch.equal(out.to_torch(), product))

    def test_default_stream_is_joined(self):
        """Proves: S-085"""
        source = torch.zeros(1 << 22, device="cuda")
        src = nixl.Buffer.from_torch(source)
        target = nixl.Buffer.allocate_device(size=source.nbytes)
        large = torch.randn(4096, 4096, device="cuda")
        torch.cuda.synchronize()
        for _ in range(20):
            large = large @ large
            large = large / large.abs().max()
        source.fill_(7)
        nixl.transfer(src=src, dst=target, stream=torch.cuda.current_stream())
        self.assertTrue(bool((target.to_torch(dtype=torch.float32) == 7).all()))

    def test_odd_tensors(self):
        """Proves: S-078"""
        for tensor in (torch.empty(0, 3, device="cuda"), torch.tensor(3.5, device="cuda"),
                       torch.ones(4, 4, device="cuda", requires_grad=True),
                       torch.randn(5, dtype=torch.complex64, device="cuda").conj()):
            target = torch.zeros(tensor.shape, dtype=tensor.dtype)
            nixl.transfer(src=tensor, dst=target)
            self.assertTrue(torch.equal(target, tensor.detach().cpu().resolve_conj()))

    def test_stream_of_a_transfer_is_joined(self):
        """Proves: S-085"""
        stream = torch.cuda.Stream()
        source = torch.zeros(1 << 22, device="cuda")
        target = torch.zeros(1 << 22, device="cuda")
        src, dst = nixl.Buffer.from_torch(source), nixl.Buffer.from_torch(target)
        large = torch.randn(4096, 4096, device="cuda")
        torch.cuda.synchronize()
        with torch.cuda.stream(stream):
            for _ in range(20):
                large = large @ large
                large = large / large.abs().max()
            source.fill_(7)
            nixl.transfer(src=src, dst=dst, stream=stream)
        self.assertTrue(bool((target == 7).all()))

    def test_tensor_that_is_not_contiguous(self):
        """Proves: S-078"""
        source = torch.arange(10000.0, device="cuda").reshape(100, 100).t()
        gpu = nixl.Buffer.allocate_device(size=source.nbytes)
        nixl.transfer(src=source, dst=gpu)
        self.assertTrue(torch.equal(gpu.to_torch(), source))
        with self.assertRaises(nixl.PermissionDeniedError):
            nixl.transfer(src=gpu, dst=source)

    def test_tensor_outlives_its_buffer(self):
        """Proves: S-079"""
        source = torch.arange(100.0)
        gpu = nixl.Buffer.allocate_device(size=source.nbytes)
        nixl.transfer(src=source, dst=gpu)
        result = gpu.to_torch()
        gpu.free()
        self.assertTrue(torch.equal(result.cpu(), source))
        del gpu
        other = nixl.Buffer.allocate_device(size=source.nbytes)  # zeroed, and elsewhere
        self.assertTrue(torch.equal(result.cpu(), source))
        other.free()

    def test_dtype_and_shape_can_be_chosen(self):
        """Proves: S-079"""
        gpu = nixl.Buffer.allocate_device(size=24)
        self.assertEqual((gpu.to_torch().dtype, gpu.to_torch().shape), (torch.uint8, (24,)))
        self.assertEqual(gpu.to_torch(dtype=torch.float32, shape=(2, 3)).shape, (2, 3))
        with self.assertRaises(Exception):
            gpu.to_torch(dtype=torch.float32, shape=(7,))

    def test_pool_buffers(self):
        """Proves: S-107"""
        pool = nixl.MemoryPool(size=1 << 20)
        source = torch.randn(100)
        tensor = pool.allocate(source.nbytes)
        nixl.transfer(src=source, dst=tensor)
        result = tensor.to_torch()
        tensor.free()
        with self.assertRaises(nixl.BusyError):
            pool.free()  # a tensor looks at it
        self.assertTrue(torch.equal(result.cpu(), source))
        del result
        pool.free()

    def test_dlpack(self):
        """Proves: S-078 S-079"""
        source = torch.arange(60.0, device="cuda").reshape(3, 4, 5)
        buffer = nixl.Buffer.from_dlpack(source)
        self.assertEqual((buffer.device, buffer.shape), ("cuda:0", (3, 4, 5)))
        again = torch.from_dlpack(buffer)
        self.assertEqual(again.data_ptr(), source.data_ptr())
        self.assertTrue(torch.equal(again, source))

    def test_a_thread_that_never_touched_cuda(self):
        """Proves: S-076"""
        done = child("""
import threading, torch, nixl
source = torch.arange(1000.0, device="cuda")
got = []
def work():
    target = nixl.Buffer.allocate_host(size=source.nbytes)
    nixl.transfer(src=source, dst=target)
    got.append(target.to_torch(dtype=torch.float32))
threads = [threading.Thread(target=work) for _ in range(32)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(got), all(torch.equal(part, source.cpu()) for part in got))
""")
        self.assertEqual(done.stdout, "32 True\n", done.stderr)

    def test_freed_tensor(self):
        """Proves: S-078"""
        tensor = torch.full((1000,), 3.0, device="cuda")
        buffer = nixl.Buffer.from_torch(tensor)
        del tensor
        torch.cuda.empty_cache()  # the buffer keeps it
        target = torch.zeros(1000)
        nixl.transfer(src=buffer, dst=target)
        self.assertTrue(bool((target == 3).all()))


@needs_cupy
class CuPy(Case):
    def test_there_and_back(self):
        """Proves: S-074"""
        source = cupy.arange(1000, dtype="f4").reshape(10, 100)
        gpu = nixl.Buffer.allocate_device(size=source.nbytes)
        nixl.transfer(src=source, dst=gpu)
        again = cupy.asarray(gpu)
        self.assertEqual(again.data.ptr, gpu.__cuda_array_interface__["data"][0])
        self.assertEqual((again.dtype, again.shape), (source.dtype, source.shape))
        self.assertTrue(bool((again == source).all()))
        target = cupy.zeros((10, 100), dtype="f4")
        nixl.transfer(src=gpu, dst=target)
        self.assertTrue(bool((target == source).all()))

    def test_the_second_gpu(self):
        """Proves: S-074"""
        if cupy.cuda.runtime.getDeviceCount() < 2:
            self.skipTest("this machine has one GPU")
        with cupy.cuda.Device(1):
            source = cupy.arange(1000)
            buffer = nixl.Buffer.from_host(source)
            self.assertEqual(buffer.device, "cuda:1")
            target = nixl.Buffer.allocate_host(size=source.nbytes)
            nixl.transfer(src=buffer, dst=target)
            self.assertEqual(target.to_numpy(dtype="i8").tolist(), list(range(1000)))

    def test_array_outlives_free(self):
        """Proves: S-080"""
        gpu = nixl.Buffer.allocate_device(size=4000)
        nixl.transfer(src=cupy.arange(1000, dtype="f4"), dst=gpu)
        array = cupy.asarray(gpu)
        gpu.free()
        other = nixl.Buffer.allocate_device(size=4000)
        self.assertTrue(bool((array == cupy.arange(1000, dtype="f4")).all()))
        other.free()

    def test_stream_is_joined(self):
        """Proves: S-085"""
        out, target = cupy.zeros(1 << 20, dtype="f4"), cupy.zeros(1 << 20, dtype="f4")
        src, dst = nixl.Buffer.from_host(out), nixl.Buffer.from_host(target)
        for stream in (cupy.cuda.Stream(non_blocking=True), cupy.cuda.Stream.null):
            with stream:
                large = cupy.random.rand(4096, 4096, dtype="f4")
                for _ in range(10):
                    large = large @ large
                    large /= large.max()
                out += 1
                nixl.transfer(src=src, dst=dst, stream=stream)
                self.assertTrue(bool((target == out).all()))

    def test_work_on_a_stream_of_its_own(self):
        """Proves: S-074"""
        with cupy.cuda.Stream(non_blocking=True):
            large = cupy.random.rand(4096, 4096, dtype="f4")
            for _ in range(20):
                large = large @ large
                large /= large.max()
            out = nixl.Buffer.allocate_device(size=large.nbytes)
            nixl.transfer(src=large, dst=out)
            self.assertTrue(bool((cupy.asarray(out) == large).all()))


if __name__ == "__main__":
    unittest.main()
