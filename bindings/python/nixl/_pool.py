# SPDX-License-Identifier: Apache-2.0
"""MemoryPool: memory reserved once, from which buffers are made and freed fast."""

import ctypes

from . import _allocators, _errors, _runtime
from ._buffer import DEVICE, HOST, KIND_NAMES, MANAGED, PINNED, Buffer, checked_device, checked_size
from ._library import BufferDescription, PoolDescription, functions
from ._registration import in_flight, retry_parked

_ON_GPU = (DEVICE, MANAGED)
_KINDS = {KIND_NAMES[kind]: kind for kind in (HOST, PINNED, DEVICE, MANAGED)}


def _chosen_kind(memory_type, device_id):
    """The kind and device of the C ABI; kind 0: device memory, or pinned where there is no GPU."""
    if memory_type is None:
        return (0, -1) if device_id is None else (DEVICE, checked_device(device_id))
    kind = _KINDS.get(memory_type)
    if kind is None:
        raise _errors.InvalidArgumentError(
            "memory_type is %s, not %r" % (", ".join(map(repr, _KINDS)), memory_type))
    if kind not in _ON_GPU and device_id is not None:
        raise _errors.InvalidArgumentError(
            "%s memory is on no GPU, but device_id is %r" % (memory_type, device_id))
    return kind, checked_device(device_id) if kind in _ON_GPU else -1


class MemoryPool:
    """Memory reserved once, from which buffers are made and freed without asking the system, and
    which backends register once.

    Buffers keep their pool alive. ``free()``, or the end of a ``with`` block, gives the memory
    back; it is refused while buffers exist.

    Args:
        size: Bytes; by default the setting ``pool_size``.
        device_id: Which GPU; by default the first.
        memory_type: ``"device"``, ``"managed"``, ``"pinned"`` or ``"host"``. By default
            ``"device"``, or ``"pinned"`` where there is no GPU.

    Raises:
        OutOfMemoryError: So much is not free.
    """

    __slots__ = ("_context", "_handle", "_size", "_kind", "_device", "__weakref__")

    def __init__(self, size=None, device_id=None, memory_type=None):
        self._handle = 0
        self._context = _runtime.context()
        if size is None:
            from . import _settings
            size = _settings.setting("pool_size")
        kind, device = _chosen_kind(memory_type, device_id)
        if in_flight:
            retry_parked()
        handle = ctypes.c_uint64()
        _allocators.call(
            "pool_create", self._context, checked_size(size), kind, device, ctypes.byref(handle))
        self._handle = handle.value
        description = self._describe()
        self._size, self._kind, self._device = (
            description.bytes, description.kind, description.device)

    def allocate(self, size, alignment=256):
        """A ``Buffer`` of ``size`` bytes. Its memory is not cleared: it has what was left there.

        Args:
            size: Bytes, at least 1.
            alignment: Of its address; a power of two.

        Raises:
            OutOfMemoryError: There is no such room; says how much is used and free, and how long
                the longest free piece is.
        """
        self._check_alive()
        if in_flight:
            retry_parked()
        handle = ctypes.c_uint64()
        description = BufferDescription(struct_size=ctypes.sizeof(BufferDescription))
        _errors.check(functions["pool_allocate"](
            self._context, self._handle, checked_size(size), checked_size(alignment),
            ctypes.byref(handle), ctypes.byref(description)))
        return Buffer._made(self._context, handle.value, self, True, description.bytes,
                            description.address, self._kind, self._device, False, None)

    def stats(self):
        """What the pool has and was asked for, as a dict.

        ``size``, ``used``, ``free``, ``peak`` and ``largest_free`` in bytes (used: in pieces of
        256); ``buffers`` that exist; ``allocations`` that were served and ``refusals``;
        ``fragmentation`` from 0.0 (what is free is one piece) towards 1.0; ``hit_rate``, the share
        of allocations that were served.
        """
        self._check_alive()
        now = self._describe()
        free = now.bytes - now.used_bytes
        asked = now.allocations + now.refusals
        return {
            "size": now.bytes, "used": now.used_bytes, "free": free, "peak": now.peak_bytes,
            "largest_free": now.largest_free_bytes, "buffers": now.buffers,
            "allocations": now.allocations, "refusals": now.refusals,
            "fragmentation": 1.0 - now.largest_free_bytes / free if free else 0.0,
            "hit_rate": now.allocations / asked if asked else 1.0,
        }

    @property
    def size(self):
        """Bytes, in whole pieces of 256."""
        return self._size

    @property
    def memory_type(self):
        """``"device"``, ``"managed"``, ``"pinned"`` or ``"host"``."""
        return KIND_NAMES[self._kind]

    @property
    def device(self):
        """``"cpu"`` or ``"cuda:N"``."""
        return "cpu" if self._device < 0 else "cuda:%d" % self._device

    def free(self):
        """Gives the memory back now; once more, or after ``finalize()``, does nothing.

        Raises:
            BusyError: Buffers of the pool exist.
        """
        if not self._handle:
            return
        if in_flight:
            retry_parked()
        status = functions["pool_free"](self._context, self._handle)
        if status == _errors.BUSY:
            _errors.check(status)
        self._handle = 0

    def __enter__(self):
        return self

    def __exit__(self, kind, *_exception):
        try:
            self.free()
        except _errors.BusyError:
            if kind is None:  # else what went wrong matters more; buffers keep the memory
                raise

    def __del__(self):
        if getattr(self, "_handle", 0):
            functions["pool_free"](self._context, self._handle)

    def _check_alive(self):
        if not self._handle:
            raise _errors.StaleError("the pool was freed")

    def _describe(self):
        description = PoolDescription(struct_size=ctypes.sizeof(PoolDescription))
        _errors.check(functions["pool_describe"](
            self._context, self._handle, ctypes.byref(description)))
        return description

    def __repr__(self):
        if not self._handle:
            return "<nixl.MemoryPool freed>"
        return "<nixl.MemoryPool %d bytes %s>" % (
            self._size, self.device if self._device >= 0 else self.memory_type)
