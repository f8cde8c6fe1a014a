# SPDX-License-Identifier: Apache-2.0
"""Allocator: memory of one's own for new buffers, pools and staging."""

import ctypes
from _thread import _local as local

from . import _errors, _runtime
from ._library import AllocatorTable

_KINDS = {"host": 1, "device": 3}
_raised = local()  # .error: what an allocator's allocate() raised on this thread


class Allocator:
    """Base of allocators of one's own, for ``register_allocator``.

    A subclass defines ``allocate(size)``, which returns an address or None when there is not
    enough, and ``free(ptr)``, which is called exactly once for each. Both may be called on any
    thread, several at once, and must not call nixl. ``memory_type`` says whose memory it is:
    ``"host"`` or ``"device"``.
    """

    memory_type = "host"

    def allocate(self, size):
        """The address of ``size`` bytes, or None when there is not enough memory."""
        raise NotImplementedError("an allocator defines allocate(self, size)")

    def free(self, ptr):
        """Takes back what ``allocate`` returned."""
        raise NotImplementedError("an allocator defines free(self, ptr)")


def _table_of(allocator):
    def allocate(_user, size):
        try:
            return allocator.allocate(size) or 0
        except BaseException as error:  # into C it cannot go; check() raises from it
            _raised.error = error
            return 0

    def free(_user, address, _size):
        allocator.free(address)  # ctypes tells sys.unraisablehook of what it raises

    return AllocatorTable(
        struct_size=ctypes.sizeof(AllocatorTable), kind=_KINDS[allocator.memory_type],
        allocate=AllocatorTable.ALLOCATE(allocate), free=AllocatorTable.FREE(free))


def register_allocator(name, allocator):
    """Makes an allocator selectable with ``configure(allocator=name)``.

    It stays registered as long as the process, since memory goes back to where it came from.

    Args:
        name: Any new one but ``"default"``.
        allocator: An ``Allocator``.

    Raises:
        TypeError: It is no ``Allocator``, or lacks a function.
        AlreadyExistsError: Another allocator has the name; the same one may be given again.
    """
    if not isinstance(name, str):
        raise TypeError("a name is a str, not a %s" % type(name).__name__)
    if not isinstance(allocator, Allocator):
        raise TypeError("an allocator is a nixl.Allocator, not a %s" % type(allocator).__name__)
    for method in ("allocate", "free"):
        if getattr(type(allocator), method) is getattr(Allocator, method):
            raise TypeError("%s defines no %s()" % (type(allocator).__name__, method))
    if allocator.memory_type not in _KINDS:
        raise _errors.InvalidArgumentError(
            "memory_type is 'host' or 'device', not %r" % (allocator.memory_type,))
    if name in ("", "default"):
        raise _errors.InvalidArgumentError("an allocator cannot be called %r" % name)
    known = _runtime.allocators.get(name)
    if known is not None:
        if known[0] is allocator:
            return
        raise _errors.AlreadyExistsError(
            "there is an allocator %r already" % name,
            hint="choose another name; memory of the old one may be in use")
    table = _table_of(allocator)
    _runtime.add_allocator(name, allocator, table)


def check(status):
    """Raises for a call that may have used an allocator, from what that raised."""
    if status:
        error = _errors.last(status)
        raise error from _raised.__dict__.pop("error", None)
