# SPDX-License-Identifier: Apache-2.0
"""One registration of the C ABI and what must live as long as it does."""

from _weakref import ref

from . import _errors, _runtime
from ._library import functions

# Registrations that could not be given back yet because an operation that was abandoned is still in
# flight. Dropping them would free memory under the hardware; gc() and later frees try again.
in_flight = []


class Registration:
    """One buffer of the C ABI, and what must live as long as it does."""

    __slots__ = ("context", "handle", "owner", "owned", "viewed", "__weakref__")

    def __init__(self, context, handle, owner, owned):
        self.context = context
        self.handle = handle
        self.owner = owner  # the array whose memory this is
        self.owned = owned  # the library's own memory
        self.viewed = False  # somebody may look at the memory without a transfer

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

    def view(self):
        """Marks that an array or tensor is about to look at the memory, and is to own this
        object."""
        if not self.viewed:
            self.viewed = True
            if self.owned:
                _runtime.views[id(self)] = ref(self)
        return self

    def __del__(self):
        if not self.handle:
            return
        if self.release(0) == _errors.BUSY:
            in_flight.append(_Parked(self))
        if self.viewed and self.owned and _runtime.views.pop(id(self), None) is not None:
            _runtime.view_gone()


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
