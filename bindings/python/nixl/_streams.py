# SPDX-License-Identifier: Apache-2.0
"""What others have queued on a GPU's streams before they hand memory over, or a transfer joins."""

import ctypes

from . import _errors, _runtime, _settings

_INVALID_CONTEXT = 201
# The driver's own numbers for the default stream of a context, and for that of a thread.
LEGACY_DEFAULT, PER_THREAD_DEFAULT = 1, 2
_of_context = {}  # by context: whether its GPUs are simulated
_driver = []  # libcuda, once it was needed


def is_simulated():
    """Whether the GPUs are simulated: no other library can see their memory."""
    context = _runtime.context()
    known = _of_context.get(context)
    if known is None:
        known = _settings.setting("sim_gpus") != 0
        _of_context.clear()
        _of_context[context] = known
    return known


def number_of(stream):
    """The driver's number of a stream of PyTorch, CuPy or any library with ``__cuda_stream__``."""
    for name in ("cuda_stream", "ptr"):
        value = getattr(stream, name, None)
        if value is not None:
            return value or LEGACY_DEFAULT
    protocol = getattr(stream, "__cuda_stream__", None)
    if protocol is not None:
        return (protocol() if callable(protocol) else protocol)[1] or LEGACY_DEFAULT
    if isinstance(stream, bool) or not hasattr(stream, "__index__"):
        raise TypeError(
            "stream is a CUDA stream or its number, not a %s" % type(stream).__name__)
    return stream.__index__() or LEGACY_DEFAULT


def is_default(number):
    """Whether the number means another stream in each context."""
    return number in (LEGACY_DEFAULT, PER_THREAD_DEFAULT)


def settle(stream, device):
    """Returns when what is on a stream of the driver has run.

    Transfers run on streams of their own, so nothing orders them after another library's work.
    """
    if device < 0 or is_simulated():
        return
    if not _driver:
        _driver.append(ctypes.CDLL("libcuda.so.1"))  # loaded already, by whoever made the memory
    code = _INVALID_CONTEXT
    if not is_default(stream):  # else it is that of whatever context this thread has
        code = _driver[0].cuStreamSynchronize(ctypes.c_void_p(stream))
    if code == _INVALID_CONTEXT:
        code = _settle_in_context_of(_driver[0], device, stream)
    if code:
        raise _errors.InputOutputError(
            "work queued on stream %#x of GPU %d has failed: CUDA error %d" % (
                stream, device, code), detail=code)


def _settle_in_context_of(driver, device, stream):
    context = ctypes.c_void_p()
    code = driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device)
    if code:
        return code
    code = driver.cuCtxPushCurrent_v2(context)
    if not code:
        code = driver.cuStreamSynchronize(ctypes.c_void_p(stream))
        driver.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))
    driver.cuDevicePrimaryCtxRelease_v2(device)
    return code
