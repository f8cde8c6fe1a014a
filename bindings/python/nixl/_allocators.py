# SPDX-License-Identifier: Apache-2.0
"""Allocator: memory of one's own for new buffers, pools and staging."""

import ctypes
from operator import index
from _thread import _local as local

from . import _errors, _runtime
from ._library import AllocatorTable, functions

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
            address = allocator.allocate(size)
            address = 0 if address is None else index(address)
            if not 0 <= address < 1 << 64:
                raise ValueError("allocate() returned %d, which is no address" % address)
            _raised.__dict__.pop("error", None)
            return address
        except BaseException as error:  # into C it cannot go; see cause()
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
    _runtime.add_allocator(name, allocator, _table_of(allocator))


def cause():
    """What an allocator raised on this thread in the call that has just failed, or None. Ctrl-C in
    an allocator is raised as such."""
    error = _raised.__dict__.pop("error", None)
    if error is not None and not isinstance(error, Exception):
        raise error
    return error


def call(name, *arguments):
    """Calls the library where it may use an allocator; raises from what that raised."""
    _raised.__dict__.pop("error", None)
    status = functions[name](*arguments)
    if status:
        error = _errors.last(status)
        raise error from cause()
