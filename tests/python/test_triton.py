# SPDX-License-Identifier: Apache-2.0
"""The Triton model of examples/triton, over a stub of Triton's module, in a process that was forked
after the import, as Triton's Python backend does it."""

import os
import unittest

from support import GPUS, child, needs_numpy

MODEL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "triton",
                     "nixl_echo", "1")
STUB = """
import json, os, sys, types
import nixl  # before the fork

stub = types.ModuleType("triton_python_backend_utils")
class Tensor:
    def __init__(self, name, array): self.name, self.array = name, array
    def as_numpy(self): return self.array
class TritonError(Exception): pass
class InferenceResponse:
    def __init__(self, output_tensors, error=None):
        self.output_tensors, self.error = output_tensors, error
stub.Tensor, stub.TritonError, stub.InferenceResponse = Tensor, TritonError, InferenceResponse
stub.get_input_tensor_by_name = lambda request, name: request[name]
sys.modules["triton_python_backend_utils"] = stub

if os.fork():
    sys.exit(os.WEXITSTATUS(os.wait()[1]))
sys.path.insert(0, sys.argv[1])
import numpy
from model import TritonPythonModel
model = TritonPythonModel()
model.initialize({"model_config": json.dumps(
    {"parameters": {"pool_bytes": {"string_value": "4096"}}})})
arrays = [numpy.arange(n, dtype="f4") for n in (1, 100, 0, 2000, 1024)]
responses = model.execute([{"INPUT": Tensor("INPUT", array)} for array in arrays])
for array, response in zip(arrays, responses):
    if response.error is not None:
        print("refused", "no room" in str(response.error))
    else:
        print(numpy.array_equal(response.output_tensors[0].as_numpy(), array))
print(model._pool.memory_type)
model.finalize()
sys.stdout.flush()
os._exit(0)
"""


@needs_numpy
@unittest.skipUnless(os.path.isdir(MODEL), "examples/triton is not beside the tests")
class Triton(unittest.TestCase):
    def test_model_in_a_forked_process(self):
        """Proves: S-147 C-39"""
        for environment, kind in ((GPUS, "device"), ({"NIXL_SIM_GPUS": "0",
                                                      "NIXL_ENABLE_GPU": "false"}, "pinned")):
            with self.subTest(kind=kind):
                done = child(STUB, MODEL, env=environment)
                lines = done.stdout.splitlines()
                if lines and lines[-1] != kind and kind == "device":
                    self.skipTest("there is no GPU, and no simulated one is installed")
                self.assertEqual(lines, ["True"] * 3 + ["refused True", "True", kind],
                                 done.stderr)


if __name__ == "__main__":
    unittest.main()
