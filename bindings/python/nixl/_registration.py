# SPDX-License-Identifier: Apache-2.0
"""One registration of the C ABI and what must live as long as it does."""

from _weakref import ref

from . import _errors, _runtime
from ._arrays import raw_view
from ._library import functions

# Registrations that could not be given back yet because an operation that was abandoned is still in
# flight. Dropping them would free memory under the hardware; gc() and later frees try again.
in_flight = []


class Registration:
    """One buffer of the C ABI, and what must live as long as it does."""

    __slots__ = ("context", "handle", "owner", "owned", "views", "__weakref__")

    def __init__(self, context, handle, owner, owned):
        self.context = context
        self.handle = handle
        self.owner = owner  # the array whose memory this is
        self.owned = owned  # the library's own memory
        self.views = 0  # arrays that look at the library's own memory

    def release(self, timeout_ns):
        """Gives it back. Returns BUSY or OK."""
        if not self.handle:
            return _errors.OK
        status = functions["buffer_free"](self.context, self.handle, timeout_ns)
        if status in (_errors.BUSY, _errors.INTERRUPTED):
            return _errors.BUSY
        # Stale after finalize(), refused in a forked child: there is nothing left to give back.
        self.handle = 0
        self.owner = None
        return _errors.OK

    def view(self, address, size):
        """A ctypes array over the memory, which keeps what it must alive.

        Memory of the library's own stays until the last of them is gone, even after ``free()`` and
        ``finalize()``.
        """
        if not self.owned:
            return raw_view(address, size, self.owner)
        array = raw_view(address, size, self)

        def gone(reference):
            _runtime.views.pop(id(reference), None)
            self.views -= 1
            _runtime.view_gone()

        self.views += 1
        reference = ref(array, gone)
        _runtime.views[id(reference)] = reference  # an array cannot be hashed
        return array

    def __del__(self):
        if not self.handle:
            return
        if self.release(0) == _errors.BUSY:
            in_flight.append(_Parked(self))


class _Parked:
    """What is left of a Registration that died while an operation was in flight."""

    def __init__(self, registration):
        self.context, self.handle = registration.context, registration.handle
        self.owner = registration.owner
        registration.handle = 0

    def retry(self):
        return functions["buffer_free"](self.context, self.handle, 0) in (
            _errors.BUSY, _errors.INTERRUPTED)


def retry_parked():
    """Gives back what can be given back by now."""
    for parked in in_flight[:]:
        if not parked.retry() and parked in in_flight:
            in_flight.remove(parked)
