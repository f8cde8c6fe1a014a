# SPDX-License-Identifier: Apache-2.0
"""DLPack, in and out, for tensors of any library that speaks it."""

import ctypes

from . import _errors
from ._arrays import Layout, Memory
from ._streams import LEGACY_DEFAULT

_CPU, _CUDA, _CUDA_HOST, _CUDA_MANAGED = 1, 2, 3, 13
_CODES = {0: "i", 1: "u", 2: "f", 5: "c", 6: "b"}
_NUMBERS = {letter: code for code, letter in _CODES.items()}


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)), ("byte_offset", ctypes.c_uint64),
    ]


class _Managed(ctypes.Structure):
    pass


_Deleter = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Managed))
_Managed._fields_ = [
    ("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", _Deleter)]

_api = ctypes.pythonapi
_get_pointer = _api.PyCapsule_GetPointer
_get_pointer.restype, _get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
_set_name = _api.PyCapsule_SetName
_set_name.argtypes = [ctypes.py_object, ctypes.c_char_p]
_new = _api.PyCapsule_New
_new.restype = ctypes.py_object
_new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_is_valid = _api.PyCapsule_IsValid
_is_valid.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
_pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", _api))

_NAME, _USED = b"dltensor", b"used_dltensor"  # capsules keep the pointer, so these must stay


class _Import:
    """Owns a tensor that another library gave us; its deleter runs once."""

    managed = None

    def __init__(self, capsule):
        pointer = _get_pointer(capsule, _NAME)
        _set_name(capsule, _USED)
        self.managed = ctypes.cast(pointer, ctypes.POINTER(_Managed))

    def __del__(self):
        managed = self.managed
        if managed is not None and managed.contents.deleter:
            managed.contents.deleter(managed)


def _ask(thing):
    """A capsule; bytes on a GPU are there before what comes next on the default stream."""
    where = getattr(thing, "__dlpack_device__", None)
    if where is not None and where()[0] in (_CUDA, _CUDA_MANAGED):
        try:
            return thing.__dlpack__(stream=LEGACY_DEFAULT)
        except TypeError:  # one that knows no streams
            pass
    return thing.__dlpack__()


def memory_of(thing):
    """The memory of an object with ``__dlpack__``."""
    owner = _Import(_ask(thing))
    tensor = owner.managed.contents.tensor
    shape = tuple(tensor.shape[i] for i in range(tensor.ndim))
    itemsize = (tensor.bits * tensor.lanes + 7) // 8
    expected, count = [], 1
    for length in reversed(shape):
        expected.append(count)
        count *= length
    if tensor.strides and count > 0:
        strides = [tensor.strides[i] for i in range(tensor.ndim)]
        if any(s != e for s, e, n in zip(strides, reversed(expected), shape) if n != 1):
            raise _errors.InvalidArgumentError(
                "the tensor is not contiguous", hint="make a contiguous copy of it first")
    device = {_CPU: -1, _CUDA_HOST: -1}.get(tensor.device_type, tensor.device_id)
    if tensor.device_type not in (_CPU, _CUDA_HOST, _CUDA, _CUDA_MANAGED):
        raise _errors.UnsupportedError("DLPack device type %d is out of reach" % tensor.device_type)
    letter = _CODES.get(tensor.code)
    order = "|" if itemsize == 1 else "<"
    layout = None
    if tensor.code == 4:
        layout = Layout("bfloat16", shape, "C")
    elif letter and tensor.lanes == 1:
        layout = Layout("%s%s%d" % (order, letter, itemsize), shape, "C")
    address = (tensor.data or 0) + tensor.byte_offset
    stream = LEGACY_DEFAULT if device >= 0 else None
    return Memory(address, count * itemsize, False, layout, owner, device, stream)


_exported = {}  # address of a _Managed -> what keeps it alive


@_Deleter
def _delete(managed):
    _exported.pop(ctypes.addressof(managed.contents), None)


@ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
def _forget(capsule):
    # Only a capsule that nobody took is still ours to delete.
    if _is_valid(capsule, _NAME):
        _exported.pop(_pointer_of(capsule, _NAME), None)


def export(address, layout, owner, device):
    """A capsule over memory that ``owner`` keeps alive."""
    if layout.dtype == "bfloat16":
        code, bits = 4, 16
    else:
        if layout.dtype[0] == ">" or layout.dtype[1] not in _NUMBERS:
            raise BufferError("DLPack has no type for %s" % layout.dtype)
        code, bits = _NUMBERS[layout.dtype[1]], 8 * int(layout.dtype[2:])
    count = len(layout.shape)
    shape = (ctypes.c_int64 * max(1, count))(*layout.shape)
    strides = (ctypes.c_int64 * max(1, count))()
    step = 1
    axes = range(count) if layout.order == "F" else reversed(range(count))
    for axis in axes:
        strides[axis] = step
        step *= layout.shape[axis]
    managed = _Managed()
    managed.tensor = _Tensor(
        address, _CPU if device < 0 else _CUDA, max(0, device), count, code, bits, 1,
        ctypes.cast(shape, ctypes.POINTER(ctypes.c_int64)),
        ctypes.cast(strides, ctypes.POINTER(ctypes.c_int64)), 0)
    managed.deleter = _delete
    _exported[ctypes.addressof(managed)] = (managed, shape, strides, owner)
    return _new(ctypes.addressof(managed), _NAME, ctypes.cast(_forget, ctypes.c_void_p))
