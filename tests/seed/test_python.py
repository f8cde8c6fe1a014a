# SPDX-License-Identifier: Apache-2.0
"""The specification's Python programs, word for word, with what they leave out before and after."""

import unittest

from seed import GPUS, Case, block

DEFINES_GPU_BUFFER = """
import nixl, os
data = bytearray(os.urandom(64 << 20))
gpu_buffer = nixl.Buffer.allocate_device(size=len(data))
"""
COMPARES_GPU_BUFFER = """
back = bytearray(len(data))
nixl.transfer(src=gpu_buffer, dst=back)
print("equal" if back == data else "DIFFERENT")
"""


class Programs(Case):
    def test_basic_memory_transfer(self):
        """Proves: S-073 S-076 S-085 S-086 S-238"""
        text = self.run_python(block("Basic Memory Transfer", "python"))
        self.assertEqual(text, "Transfer completed: 0.00 GB\n")

    def test_example_1(self):
        """Proves: S-243"""
        heading = "Example 1: Basic CPU-GPU Transfer with Error Handling"
        lines = self.run_python(block(heading, "python")).splitlines()
        self.assertEqual(lines[:2], ["Initializing NIXL...", "Created 100MB test data"])
        self.assertRegex(lines[2], r"^Transfer completed in \d+\.\d{3}s \(\d+\.\d\d GB/s\)$")
        self.assertEqual(lines[3:], ["✓ Transfer successful", "Resources cleaned up"])

    @unittest.skipIf(GPUS == "real", "this machine has a GPU")
    def test_example_1_without_a_gpu(self):
        """Proves: S-243"""
        heading = "Example 1: Basic CPU-GPU Transfer with Error Handling"
        text = self.run_python(block(heading, "python"), gpus="0", expected_code=1)
        self.assertEqual(text.splitlines(), ["Initializing NIXL...", "Resources cleaned up"])
        self.assertIn("NIXL error: ", self.errors)
        self.assertIn("GPU", self.errors)

    def test_pool(self):
        """Proves: S-106 S-107 S-242"""
        code = block("Best Practices", "python")
        text = self.run_python("import nixl\n" + code + """
print(pool.memory_type, pool.size == 4 << 30, buffer.size)
buffer.free()
pool.free()
""", needs="sys")
        self.assertEqual(text, "device True 1048576\n")

    def test_out_of_memory(self):
        """Proves: S-062 S-065 S-106 S-242"""
        code = block("3. CUDA Out of Memory", "python")
        text = self.run_python(
            "import nixl\nbuffer = nixl.Buffer.allocate_device(size=1 << 20)\n" + code,
            needs="sys")
        self.assertGreater(int(text), 1 << 30)

    def test_zero_copy(self):
        """Proves: S-069 S-115 S-248"""
        text = self.run_python(
            DEFINES_GPU_BUFFER + "nixl.telemetry.enable()\n" +
            block("Zero-Copy Transfers", "python") +
            "print(nixl.telemetry.get_metrics()['staged_bytes'])" + COMPARES_GPU_BUFFER,
            needs="sys")
        self.assertEqual(text, "0\nequal\n")

    def test_pipeline(self):
        """Proves: S-110 S-111 S-248"""
        text = self.run_python(
            DEFINES_GPU_BUFFER + "large_gpu_buffer = gpu_buffer\n"
            "large_cpu_buffer = nixl.Buffer.from_host(data)\n" +
            block("Pipelining for Large Transfers", "python") + COMPARES_GPU_BUFFER, needs="sys")
        self.assertEqual(text, "equal\n")

    def test_allocator(self):
        """Proves: S-113 S-114 S-248"""
        text = self.run_python("""
import nixl, ctypes
blocks = {}
def custom_malloc(size):
    block = (ctypes.c_char * size)()
    blocks[ctypes.addressof(block)] = block
    return ctypes.addressof(block)
def custom_free(ptr):
    del blocks[ptr]
""" + block("Custom Memory Allocators", "python") + """
with nixl.Buffer.allocate_host(size=1000) as buffer:
    print(len(blocks))
print(len(blocks))
""", needs="sys")
        self.assertEqual(text, "1\n0\n")

    def test_pytorch(self):
        """Proves: S-078 S-079 C-28 S-248"""
        if GPUS != "real":
            self.skipTest("PyTorch cannot see the memory of a simulated GPU")
        text = self.run_python(block("Integration with PyTorch", "python") + """
print(result.device, result.dtype, tuple(result.shape), torch.equal(result.cpu(), tensor))
""", needs="torch")
        self.assertEqual(text, "cuda:0 torch.float32 (1000, 1000) True\n")

    def test_triton(self):
        """Proves: S-147 S-248"""
        text = self.run_python("""
import sys, types, numpy
stub = types.ModuleType("triton_python_backend_utils")
class Tensor:
    def as_numpy(self): return numpy.arange(10.0)
class InferenceResponse:
    def __init__(self, tensors): self.tensors = tensors
stub.get_input_tensor_by_name = lambda request, name: request[name]
stub.InferenceResponse = InferenceResponse
sys.modules["triton_python_backend_utils"] = stub
output_tensor = "output"
""" + block("Integration with NVIDIA Triton", "python") + """
model = NixlModel()
model.initialize({})
responses = model.execute([{"input": Tensor()}, {"input": Tensor()}])
print([response.tensors for response in responses], model.nixl_backend)
""")
        self.assertEqual(text, "[['output'], ['output']] ucx\n")


if __name__ == "__main__":
    unittest.main()
