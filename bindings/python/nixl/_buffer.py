# SPDX-License-Identifier: Apache-2.0
"""Buffer: both ends of every transfer."""

import ctypes

from . import _allocators, _arrays, _errors, _runtime
from ._library import BufferDescription, functions
from ._registration import Registration, in_flight, retry_parked

HOST, PINNED, DEVICE, MANAGED, FILE, BLOCK = 1, 2, 3, 4, 5, 6
READ_ONLY, PIN = 1, 32
KIND_NAMES = {HOST: "host", PINNED: "pinned", DEVICE: "device", MANAGED: "managed", FILE: "file",
              BLOCK: "block"}
_SECOND_NS = 1000000000

def checked_size(size):
    if isinstance(size, bool) or not hasattr(size, "__index__"):
        raise TypeError("size is a whole number of bytes, not a %s" % type(size).__name__)
    size = size.__index__()
    if not 0 <= size < 1 << 64:
        raise _errors.InvalidArgumentError("size is 0 .. 2^64 - 1 bytes, not %d" % size)
    return size


def checked_device(device_id):
    """The number of a GPU; None is the first."""
    if device_id is None:
        return 0
    if isinstance(device_id, bool) or not hasattr(device_id, "__index__"):
        raise TypeError("device_id is the number of a GPU, not a %s" % type(device_id).__name__)
    device_id = device_id.__index__()
    if not 0 <= device_id < 1 << 31:
        raise _errors.NotFoundError("GPU %d not present: GPUs count from 0" % device_id)
    return device_id


class Buffer:
    """Memory that bytes are moved from or to. Made by the ``from_...`` and ``allocate_...``
    functions.

    A buffer keeps the array that it was made from alive. It is given back by ``free()``, at the end
    of a ``with`` block, or when nothing refers to it any more.
    """

    __slots__ = ("_context", "_handle", "_registration", "_size", "_address", "_kind", "_device",
                 "_read_only", "_layout", "_why_read_only", "_lent", "__weakref__")

    def __init__(self, *_arguments, **_keywords):
        raise TypeError(
            "use Buffer.from_host(array), Buffer.allocate_host(size) and their relatives"
        )

    @classmethod
    def _made(cls, context, handle, owner, owned, size, address, kind, device, read_only, layout):
        self = cls.__new__(cls)
        self._context = context  # of the call that made the handle: finalize() may come between
        self._handle = handle
        self._registration = Registration(context, handle, owner, owned)
        self._size = size
        self._address = address
        self._kind = kind
        self._device = device
        self._read_only = read_only
        self._layout = layout
        self._lent = None
        return self

    @classmethod
    def _wrap(cls, memory, pinned):
        if in_flight:
            retry_parked()
        kind = HOST if memory.device == _arrays.HOST else DEVICE
        flags = (READ_ONLY if memory.read_only else 0) | (PIN if pinned and kind == HOST else 0)
        handle, context = ctypes.c_uint64(), _runtime.context()
        arguments = (max(memory.device, -1), flags, ctypes.byref(handle))
        status = functions["buffer_wrap"](
            context, memory.address or None, memory.bytes, kind, *arguments)
        if status == _errors.INVALID_ARGUMENT and kind == DEVICE:
            error = _errors.last(status)  # array interfaces do not tell managed memory
            kind = MANAGED
            if functions["buffer_wrap"](context, memory.address, memory.bytes, kind, *arguments):
                raise error
        else:
            _errors.check(status)
        made = cls._made(context, handle.value, memory.owner, False, memory.bytes, memory.address,
                         kind, memory.device, memory.read_only, memory.layout)
        if kind != HOST and memory.bytes:
            made._device = made._describe().device
            if memory.stream is not None:
                from . import _streams
                _streams.settle(memory.stream, made._device)
        elif memory.device == _arrays.ANY_GPU:
            made._device = 0  # nothing lies anywhere
        return made

    @classmethod
    def from_host(cls, data, pinned=False):
        """Describes the memory of ``data`` without copying it, and keeps ``data`` alive.

        Args:
            data: bytes, bytearray, memoryview, array, NumPy array, CPU tensor, another Buffer ...
                Something read-only can only be a source. Something that is not contiguous is copied
                once, with a warning, and can only be a source, too.
            pinned: Page-lock the memory, in place.
        """
        if isinstance(data, Buffer):
            view = data._owning_view() if data._size else None
            return cls._wrap(_arrays.Memory(data._address, data._size, data._read_only,
                                            data._layout, view, data._device), pinned)
        return cls._wrap(_arrays.memory_of(data), pinned)

    @classmethod
    def from_numpy(cls, array, pinned=False):
        """The same as ``from_host``."""
        return cls.from_host(array, pinned)

    @classmethod
    def from_torch(cls, tensor, pinned=False):
        """Describes the memory of a torch tensor, on the CPU or a GPU, without copying it.

        Returns when what PyTorch has queued on its current stream of that GPU has run. For what is
        queued later, pass ``stream`` to the transfer.
        """
        try:
            import torch
        except ImportError as error:
            raise ImportError("Buffer.from_torch needs PyTorch: %s" % error) from error
        if not isinstance(tensor, torch.Tensor):
            raise TypeError("from_torch takes a torch.Tensor, not a %s" % type(tensor).__name__)
        return cls._wrap(_arrays.of_torch(tensor), pinned)

    @classmethod
    def from_dlpack(cls, tensor):
        """Describes the memory of any object with ``__dlpack__`` without copying it."""
        if _arrays.is_torch(tensor):  # whose own way out refuses tensors of another current GPU
            return cls._wrap(_arrays.of_torch(tensor), False)
        from . import _dlpack
        return cls._wrap(_dlpack.memory_of(tensor), False)

    @classmethod
    def allocate_host(cls, size=None, pinned=False):
        """Zeroed host memory of the library's own, which peers on this machine can map.

        Args:
            size: Bytes; by default the setting ``buffer_size``.
            pinned: Page-lock it.
        """
        return cls._allocate(size, PINNED if pinned else HOST, -1)

    @classmethod
    def allocate_device(cls, size=None, device_id=None):
        """Zeroed memory of a GPU.

        From 2 MiB on it can be handed to other processes as a file descriptor, unless the setting
        ``shareable_gpu_memory`` is off. It is open to the GPUs that work in this process by then,
        and to those that transfers bring in; a program whose own kernels reach it from yet another
        GPU touches that one before.

        Args:
            size: Bytes; by default the setting ``buffer_size``.
            device_id: Which GPU; by default the first.
        """
        return cls._allocate(size, DEVICE, checked_device(device_id))

    @classmethod
    def _allocate(cls, size, kind, device):
        context = _runtime.context()
        if size is None:
            from . import _settings
            size = _settings.setting("buffer_size")
        size = checked_size(size)
        if in_flight:
            retry_parked()
        handle = ctypes.c_uint64()
        _allocators.call("buffer_allocate", context, size, kind, device, 0, ctypes.byref(handle))
        description = BufferDescription(struct_size=ctypes.sizeof(BufferDescription))
        _errors.check(functions["buffer_describe"](context, handle, ctypes.byref(description)))
        return cls._made(context, handle.value, None, True, size, description.address, kind, device,
                         False, None)

    @property
    def size(self):
        """Bytes."""
        return self._size

    nbytes = size

    @property
    def device(self):
        """``"cpu"`` or ``"cuda:N"``."""
        return "cpu" if self._device < 0 else "cuda:%d" % self._device

    @property
    def is_pinned(self):
        """Whether the memory is page-locked."""
        if not self._handle:
            return False
        return bool(self._describe().flags & PIN)

    @property
    def is_read_only(self):
        """Whether it can only be a source."""
        return self._read_only

    @property
    def is_freed(self):
        """Whether ``free()`` was called."""
        return not self._handle

    @property
    def dtype(self):
        """NumPy's name of the element type (``"<f4"``), or None when it is just bytes.

        Comes from the array that the buffer was made from, or with a transfer from a buffer of the
        same size.
        """
        return self._layout.dtype if self._layout else None

    @property
    def shape(self):
        """Elements along each axis, or None when it is just bytes."""
        return self._layout.shape if self._layout else None

    def _describe(self):
        description = BufferDescription(struct_size=ctypes.sizeof(BufferDescription))
        _errors.check(functions["buffer_describe"](
            self._context, self._handle, ctypes.byref(description)))
        return description

    def free(self, timeout=30.0):
        """Gives the memory or registration back now; once more does nothing.

        Waits for transfers in flight. Memory of the library's own that an array still looks at goes
        when that array does.

        Raises:
            BusyError: A transfer still uses it after ``timeout`` seconds.
        """
        registration = self._registration
        if not self._handle or registration is None:
            return
        if not registration.views:
            import time
            end = time.monotonic() + timeout
            while registration.release(max(0, min(_SECOND_NS // 5, int(
                    (end - time.monotonic()) * 1e9)))) == _errors.BUSY:
                if time.monotonic() >= end:
                    raise _errors.BusyError(
                        "%r is still in use by a transfer after %g s" % (self, timeout),
                        hint="wait for the transfer or cancel it", retryable=True)
        self._handle = 0
        self._registration = None

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.free()

    def __len__(self):
        return self._size

    def _check_readable(self):
        """Raises unless the CPU can look at the memory."""
        if not self._handle:
            raise _errors.StaleError("the buffer was freed")
        if self._kind not in (HOST, PINNED, MANAGED):
            raise _errors.UnsupportedError(
                "%s memory cannot be read by the CPU" % KIND_NAMES.get(self._kind, "this"),
                hint="transfer it to host memory first")
        self._describe()  # raises when the library was finalized and its memory is gone

    def _view(self):
        """The memory as a ctypes array, which keeps it alive."""
        self._check_readable()
        return self._registration.view(self._address, self._size)

    def _owning_view(self):
        """The same for memory that the CPU need not be able to look at."""
        if self._device < 0:
            return self._view()
        if not self._handle:
            raise _errors.StaleError("the buffer was freed")
        self._describe()  # raises when the library was finalized and its memory is gone
        return self._registration.view(self._address, self._size)

    def _chosen_layout(self, dtype, shape):
        known = self._layout or _arrays.Layout("|u1", (self._size,), "C")
        if dtype is None and shape is None:
            return known
        kind = known.dtype if dtype is None else dtype
        order = "C" if shape is not None or known.shape != shape else known.order
        if shape is None:
            shape = (-1,)
        return _arrays.Layout(kind, shape, order)

    def to_numpy(self, dtype=None, shape=None):
        """A NumPy array over the same memory, which it keeps alive.

        Args:
            dtype: Element type; by default that of the array that was wrapped or moved here, else
                bytes.
            shape: By default that of the array that was wrapped or moved here, else one axis.
        """
        import numpy
        view = self._view()
        layout = self._chosen_layout(dtype, shape)
        try:
            kind = numpy.dtype(layout.dtype)
        except TypeError:
            raise _errors.UnsupportedError(
                "NumPy has no element type %s" % layout.dtype, hint="pass dtype='u2' or another"
            ) from None
        flat = numpy.frombuffer(view, "u1") if self._size else numpy.empty(0, "u1")
        if self._read_only:
            flat.flags.writeable = False
        return flat.view(kind).reshape(layout.shape, order=layout.order)

    def to_torch(self, dtype=None, shape=None):
        """A torch tensor over the same memory, on its device, which it keeps alive.

        Transfers do not wait for what is then queued on it: synchronize, or pass ``stream``.

        Args:
            dtype: A torch or NumPy type; by default that of what was wrapped or moved here, else
                bytes.
            shape: By default that of what was wrapped or moved here, else one axis.

        Raises:
            PermissionDeniedError: The memory is read-only, which no tensor can be.
            UnsupportedError: This PyTorch has no CUDA, or the GPU is a simulated one.
        """
        if self._read_only:
            raise _errors.PermissionDeniedError(
                "the memory is read-only, and torch has no read-only tensors",
                hint="copy it: torch.frombuffer(bytearray(buffer.tobytes()), dtype=...)")
        import torch
        on_gpu = self._device >= 0
        if on_gpu:
            self._check_torch_reaches(torch)
        view = self._owning_view()
        layout = self._chosen_layout(dtype, shape)
        name = layout.dtype
        if isinstance(name, type):  # numpy.float32
            import numpy
            name = numpy.dtype(name).str
        if not isinstance(name, torch.dtype):
            name = getattr(torch, _arrays.TORCH_NAMES.get(name, str(name)), None)
            if not isinstance(name, torch.dtype):
                raise _errors.UnsupportedError("torch has no element type %s" % layout.dtype)
        shape = layout.shape if isinstance(layout.shape, (tuple, list)) else (layout.shape,)
        if not self._size:
            return torch.empty(tuple(0 if n == -1 else n for n in shape), dtype=name,
                               device=self.device)
        if on_gpu:
            from . import _dlpack
            flat = torch.utils.dlpack.from_dlpack(_dlpack.export(
                self._address, _arrays.Layout("|u1", (self._size,), "C"), view, self._device))
            flat = flat.view(name)
        else:
            flat = torch.frombuffer(view, dtype=name)
        if layout.order == "F":
            return flat.reshape(tuple(reversed(shape))).permute(*reversed(range(len(shape))))
        return flat.reshape(shape)

    def _check_torch_reaches(self, torch):
        from . import _streams
        if _streams.is_simulated():
            raise _errors.UnsupportedError(
                "PyTorch cannot see the memory of a simulated GPU",
                hint="transfer it to host memory first")
        if not torch.cuda.is_available():
            raise _errors.UnsupportedError(
                "this PyTorch (%s) has no CUDA" % torch.__version__,
                hint="install a CUDA build of it, or transfer to host memory first")

    def tobytes(self):
        """A copy of host memory as ``bytes``."""
        self._check_readable()
        if not self._size:
            return b""
        result, address = _arrays.new_bytes(self._size)  # ctypes.string_at() ends at 2 GiB
        ctypes.memmove(address, self._address, self._size)
        return result

    @property
    def __array_interface__(self):
        layout = self._chosen_layout(None, None)
        if layout.order == "F" or len(layout.dtype) > 4:
            layout = _arrays.Layout("|u1", (self._size,), "C")
        # An object with the buffer protocol in place of the address: the array then holds the
        # memory itself, so that free() cannot pull it away.
        data = memoryview(self._view())
        return {"shape": layout.shape, "typestr": layout.dtype, "version": 3,
                "data": data.toreadonly() if self._read_only else data}

    def __array__(self, dtype=None, copy=None):
        array = self.to_numpy()
        if dtype is not None and array.dtype != dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    @property
    def __cuda_array_interface__(self):
        if self._kind not in (DEVICE, MANAGED):
            raise AttributeError("not memory of a GPU")
        self._registration_for_others()
        layout, strides = self._chosen_layout(None, None), None
        if not _arrays.is_typestr(layout.dtype):  # bfloat16 and its like
            layout = _arrays.Layout("|u1", (self._size,), "C")
        if layout.order == "F":
            strides, step = [], int(layout.dtype[2:])
            for length in layout.shape:
                strides.append(step)
                step *= length
            strides = tuple(strides)
        return {"shape": layout.shape, "typestr": layout.dtype, "strides": strides, "version": 3,
                "data": (self._address, self._read_only), "stream": None}

    def _registration_for_others(self):
        """What is lent to a library that keeps this object, and asks for no owner, must stay as
        long as this object does."""
        view = self._owning_view()
        if self._lent is None:
            self._lent = view

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        from . import _dlpack
        if dl_device is not None and tuple(dl_device) != self.__dlpack_device__():
            raise BufferError("the memory is on %s; transfer it first" % self.device)
        address, layout = self._address, self._chosen_layout(None, None)
        if copy and self._device >= 0:
            raise BufferError("the memory is on %s; transfer it first" % self.device)
        if copy:
            data = bytearray(self.tobytes() or b"\0")
            owner = (ctypes.c_char * len(data)).from_buffer(data)
            return _dlpack.export(ctypes.addressof(owner), layout, owner, self._device)
        if self._read_only:
            raise BufferError("DLPack has no word for read-only memory; ask for a copy")
        owner = self._owning_view()
        return _dlpack.export(address, layout, owner, self._device)

    def __dlpack_device__(self):
        return (1, 0) if self._device < 0 else (2, self._device)

    def __bytes__(self):
        return self.tobytes()

    def __repr__(self):
        if not self._handle:
            return "<nixl.Buffer freed, was %s>" % size_text(self._size)
        where = self.device if self._device >= 0 else KIND_NAMES.get(self._kind, "?")
        kind = " %s %s" % (self._layout.dtype, self._layout.shape) if self._layout else ""
        return "<nixl.Buffer %s %s%s%s>" % (
            size_text(self._size), where, kind, " read-only" if self._read_only else "")


class StorageBuffer(Buffer):
    """A Buffer over storage, opened for one end of a transfer.

    A class of its own, so that one look tells transfers that may take long from copies in memory.
    """

    __slots__ = ("before_post",)  # what is to be called between the checks and the post, or None


StorageBuffer.__name__ = StorageBuffer.__qualname__ = "Buffer"


def size_text(size):
    """``1.00 GB``, in units of 1024."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024:
            return "%d B" % size if unit == "B" else "%.2f %s" % (size, unit)
        size /= 1024
    return "%.2f TB" % size
