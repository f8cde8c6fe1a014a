# SPDX-License-Identifier: Apache-2.0
"""A Triton model that moves each input into memory of the GPU, where there is one, and back.

Where a model of one's own would work on the tensor, it lies in ``buffer``:
``torch.from_dlpack(buffer)`` or ``cupy.asarray(buffer)`` sees it without a copy.
"""

import json

import numpy
import triton_python_backend_utils as pb_utils

import nixl


class TritonPythonModel:
    def initialize(self, args):
        parameters = json.loads(args["model_config"]).get("parameters", {})
        size = int(parameters.get("pool_bytes", {}).get("string_value", 64 << 20))
        nixl.configure(path_policy="allow")  # requests come in pageable memory
        self._pool = nixl.MemoryPool(size=size)  # reserved once, not with every request

    def execute(self, requests):
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        given = pb_utils.get_input_tensor_by_name(request, "INPUT").as_numpy()
        result = numpy.empty_like(given)
        if given.nbytes == 0:
            return pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT", result)])
        try:
            with self._pool.allocate(given.nbytes) as buffer:
                nixl.transfer(src=given, dst=buffer)
                nixl.transfer(src=buffer, dst=result)
        except nixl.NIXLError as error:  # of this request alone: the others go on
            return pb_utils.InferenceResponse([], error=pb_utils.TritonError(str(error)))
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT", result)])

    def finalize(self):
        try:
            self._pool.free()
        finally:
            nixl.finalize()
