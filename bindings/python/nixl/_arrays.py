# SPDX-License-Identifier: Apache-2.0
"""Where the memory of foreign objects lies: buffer protocol, NumPy, DLPack, torch."""

import collections
import ctypes
import sys

from . import _errors

# address, bytes, read-only, layout (see Layout) or None, what keeps it alive, device (-1: host)
# device: a GPU, HOST or ANY_GPU; stream: of the GPU, what is queued there makes the bytes; or None.
Memory = collections.namedtuple(
    "Memory", "address bytes read_only layout owner device stream", defaults=(None,))
HOST, ANY_GPU = -1, -2
# The type in NumPy's words ("<f4") or torch's ("bfloat16"), the shape, and the order "C" or "F".
Layout = collections.namedtuple("Layout", "dtype shape order")

_pythonapi = ctypes.pythonapi


class _PyBuffer(ctypes.Structure):
    _fields_ = [
        ("buf", ctypes.c_void_p), ("obj", ctypes.c_void_p), ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t), ("readonly", ctypes.c_int), ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p), ("shape", ctypes.c_void_p), ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p), ("internal", ctypes.c_void_p),
    ]


_get_buffer = _pythonapi.PyObject_GetBuffer
_get_buffer.argtypes = [ctypes.py_object, ctypes.POINTER(_PyBuffer), ctypes.c_int]
_release_buffer = _pythonapi.PyBuffer_Release
_release_buffer.argtypes = [ctypes.POINTER(_PyBuffer)]
_ANY_CONTIGUOUS = 0x0080 | 0x0010 | 0x0008  # PyBUF_ANY_CONTIGUOUS


def _view_address(view):
    """The address of a contiguous memoryview, which keeps the object's memory where it is."""
    buffer = _PyBuffer()
    _get_buffer(view, ctypes.byref(buffer), _ANY_CONTIGUOUS)
    address = buffer.buf or 0
    _release_buffer(ctypes.byref(buffer))
    return address


# struct's letters of native types; without a prefix sizes are the machine's
_FORMATS = {
    "?": "b",
    "b": "i",
    "B": "u",
    "c": "u",
    "h": "i",
    "H": "u",
    "i": "i",
    "I": "u",
    "l": "i",
    "L": "u",
    "q": "i",
    "Q": "u",
    "n": "i",
    "N": "u",
    "e": "f",
    "f": "f",
    "d": "f",
}


def _type_of_format(text, itemsize):
    order = "<"
    if text[:1] in "@=<>!":
        order = ">" if text[0] in ">!" else "<"
        text = text[1:]
    if text in ("Zf", "Zd"):
        return "%sc%d" % (order, itemsize)
    letter = _FORMATS.get(text)
    if letter is None:
        return None
    return "%s%s%d" % ("|" if itemsize == 1 else order, letter, itemsize)


def of_buffer_protocol(thing):
    """Memory of bytes, bytearray, memoryview, array.array, mmap, NumPy arrays ..."""
    view = memoryview(thing)
    if "O" in view.format:
        raise _errors.InvalidArgumentError(
            "the array holds Python objects, whose bytes mean nothing elsewhere")
    shape = tuple(view.shape)
    kind = _type_of_format(view.format, view.itemsize)
    if not view.contiguous:
        return _copied(view.tobytes(), Layout(kind, shape, "C") if kind else None)
    order = "C" if view.c_contiguous else "F"
    layout = Layout(kind, shape, order) if kind else None
    return Memory(_view_address(view), view.nbytes, view.readonly, layout, view, -1)


def _copied(data, layout):
    from . import _log

    _log.say(
        "warning",
        "the array is not contiguous: its bytes are copied once, later changes of it "
        "are not seen, and it cannot be a destination",
    )
    return Memory(_view_address(memoryview(data)), len(data), True, layout, data, -1)


def of_array_interface(thing):
    """Memory of an object that has ``__array_interface__`` but no buffer protocol."""
    interface = thing.__array_interface__
    shape, kind = tuple(interface["shape"]), interface["typestr"]
    itemsize = int(kind[2:].partition("[")[0])  # "<M8[ns]"
    count = 1
    for length in shape:
        count *= length
    size = count * itemsize
    strides = interface.get("strides")
    if strides is not None and count > 0 and tuple(strides) != _c_strides(shape, itemsize):
        import numpy
        return _copied(numpy.asarray(thing).tobytes(), Layout(kind, shape, "C"))
    data = interface.get("data")
    if not isinstance(data, tuple):  # the memory itself, or the object's
        view = memoryview(thing if data is None else data).cast("B")
        address = _view_address(view) + interface.get("offset", 0)
        return Memory(address, size, view.readonly, Layout(kind, shape, "C"), (thing, view), -1)
    address, read_only = data
    return Memory(address, size, read_only, Layout(kind, shape, "C"), thing, -1)


def _c_strides(shape, itemsize):
    strides, step = [], itemsize
    for length in reversed(shape):
        strides.append(step)
        step *= length
    return tuple(reversed(strides))


_TORCH_TYPES = {
    "float64": "<f8", "float32": "<f4", "float16": "<f2", "int64": "<i8", "int32": "<i4",
    "int16": "<i2", "int8": "|i1", "uint8": "|u1", "bool": "|b1", "complex64": "<c8",
    "complex128": "<c16", "uint16": "<u2", "uint32": "<u4", "uint64": "<u8",
}
TORCH_NAMES = {kind: name for name, kind in _TORCH_TYPES.items()}


def is_torch(thing):
    torch = sys.modules.get("torch")  # subclasses are tensors, too
    return torch is not None and isinstance(thing, torch.Tensor)


def of_torch(tensor):
    """Memory of a torch tensor."""
    layout = str(tensor.layout)
    if layout != "torch.strided":
        raise _errors.InvalidArgumentError(
            "a tensor of layout %s has no single block of memory" % layout,
            hint="use tensor.to_dense()",
        )
    tensor = tensor.detach()
    device = tensor.device
    if device.type not in ("cpu", "cuda"):
        raise _errors.UnsupportedError("a tensor on %s is out of reach" % device)
    kind = str(tensor.dtype).partition(".")[2]
    kind = _TORCH_TYPES.get(kind, kind)
    shape = tuple(tensor.shape)
    read_only = False
    # Conjugate and negative views hold other bytes than they show.
    is_lazy = tensor.is_conj() or tensor.is_neg()
    if is_lazy or not tensor.is_contiguous():
        from . import _log

        _log.say(
            "warning",
            "the tensor is %s: it is copied once, later changes of it are not seen, and it cannot "
            "be a destination" % ("a lazy view" if is_lazy else "not contiguous"),
        )
        tensor, read_only = tensor.resolve_conj().resolve_neg().contiguous(), True
    index, stream = HOST, None
    if device.type == "cuda":
        import torch
        index = device.index or 0
        from . import _streams
        stream = _streams.number_of(torch.cuda.current_stream(index))
    return Memory(
        tensor.data_ptr(),
        tensor.numel() * tensor.element_size(),
        read_only,
        Layout(kind, shape, "C"),
        tensor,
        index,
        stream,
    )


def of_cuda_array(thing):
    """Memory of an object that has ``__cuda_array_interface__``."""
    interface = thing.__cuda_array_interface__
    shape, kind = tuple(interface["shape"]), interface["typestr"]
    count = int(kind[2:])
    for length in shape:
        count *= length
    strides = interface.get("strides")
    if strides is not None and tuple(strides) != _c_strides(shape, int(kind[2:])):
        raise _errors.InvalidArgumentError("the device array is not contiguous")
    address, read_only = interface["data"]
    # Version 3: None says that nothing is queued; before it the default stream was meant.
    stream = interface.get("stream", None if interface["version"] >= 3 else 1)
    return Memory(address, count, read_only, Layout(kind, shape, "C"), thing, ANY_GPU, stream)


def memory_of(thing):
    """The memory of any object that has some, or TypeError."""
    if is_torch(thing):
        return of_torch(thing)
    if hasattr(thing, "__cuda_array_interface__"):
        return of_cuda_array(thing)
    try:
        return of_buffer_protocol(thing)
    except _errors.NIXLError:
        raise
    except (TypeError, ValueError, BufferError):  # bfloat16 and friends have no format
        pass
    if hasattr(thing, "__array_interface__"):
        return of_array_interface(thing)
    if hasattr(thing, "__dlpack__"):
        from . import _dlpack
        return _dlpack.memory_of(thing)
    raise TypeError(
        "a %s has no memory to move: pass bytes, a NumPy array, a torch tensor or any object "
        "with the buffer protocol, __array_interface__ or __dlpack__" % type(thing).__name__
    )


def is_typestr(kind):
    """Whether a type has a name in the array interfaces: "<f4", but not "bfloat16"."""
    return isinstance(kind, str) and len(kind) >= 3 and kind[0] in "<>|" and kind[2:].isdigit()


def raw_view(address, size, owner):
    """A writable ctypes array over memory that ``owner`` keeps alive."""
    array = (ctypes.c_char * size).from_address(address)
    array._nixl_owner = owner
    return array


def new_bytes(size):
    """An uninitialised ``bytes`` object and its address, to be filled before anybody else sees
    it."""
    make = _pythonapi.PyBytes_FromStringAndSize
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_ssize_t]
    result = make(None, size)
    return result, _view_address(memoryview(result))
