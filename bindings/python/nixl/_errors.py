# SPDX-License-Identifier: Apache-2.0
"""The exceptions, and how status codes of the C ABI become exceptions.

Each one is also the built-in exception that a Python programmer would expect.
"""

import ctypes

from ._library import Error, functions

OK, IN_PROGRESS, INTERRUPTED = 0, 1, -1
INVALID_ARGUMENT, UNSUPPORTED, AGAIN, BUSY = -2, -6, -9, -10
STALE, TIMED_OUT, CANCELLED = -11, -12, -13


class NIXLError(Exception):
    """Base of everything that nixl raises at run time.

    Attributes:
        code: Name of the status, such as ``"OUT_OF_RANGE"``.
        hint: What to do about it; empty when there is nothing to advise.
        detail: The system's own code (errno, CUresult, HTTP status); 0 when there is none.
        retryable: Whether doing the same again, now or later, can help.
    """

    code = "INTERNAL"
    hint = ""
    detail = 0
    retryable = False

    def __init__(self, message="", *, code=None, hint="", detail=0, retryable=False):
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail
        self.retryable = retryable
        if code is not None:
            self.code = code
        if isinstance(self, OSError):
            self.errno = detail or None

    def __str__(self):
        return "%s (%s)" % (self.message, self.hint) if self.hint else self.message

    def __reduce__(self):
        return (_rebuild, (type(self), self.message, self.code, self.hint, self.detail))


def _rebuild(kind, message, code, hint, detail):
    return kind(message, code=code, hint=hint, detail=detail)


class InvalidArgumentError(NIXLError, ValueError):
    """The call itself is wrong; nothing has moved."""

    code = "INVALID_ARGUMENT"


class OutOfRangeError(NIXLError, ValueError, IndexError):
    """An offset or a length lies outside its buffer."""

    code = "OUT_OF_RANGE"


class NotFoundError(NIXLError, FileNotFoundError, KeyError):
    """There is no such file, name or device."""

    code = "NOT_FOUND"


class AlreadyExistsError(NIXLError):
    """It is there already, or is open with other settings."""

    code = "ALREADY_EXISTS"


class UnsupportedError(NIXLError, NotImplementedError):
    """Nothing here can do it; the message says what is missing."""

    code = "UNSUPPORTED"


class PermissionDeniedError(NIXLError, PermissionError):
    """The system, or a read-only buffer, said no."""

    code = "PERMISSION_DENIED"


class OutOfMemoryError(NIXLError, MemoryError):
    """Not enough memory of the kind asked for."""

    code = "NO_MEMORY"


class LimitError(NIXLError):
    """A limit is reached; finish something and call again."""

    code = "AGAIN"


class BusyError(NIXLError):
    """Operations are still in flight on the object."""

    code = "BUSY"


class StaleError(NIXLError):
    """The object was freed, or belongs to a time before ``finalize()``."""

    code = "STALE"


class CancelledError(NIXLError):
    """It was cancelled."""

    code = "CANCELLED"


class PeerLostError(NIXLError, ConnectionError):
    """The peer is gone."""

    code = "DISCONNECTED"


class InputOutputError(NIXLError, OSError):
    """The device, file system or link failed."""

    code = "IO_ERROR"


class ShortTransferError(NIXLError, EOFError):
    """The other end has fewer bytes than asked for."""

    code = "SHORT_TRANSFER"


class CorruptError(NIXLError):
    """Data or metadata fails its check."""

    code = "CORRUPT"


class NoSpaceError(NIXLError, OSError):
    """The disk or device is full."""

    code = "NO_SPACE"


class TransferError(NIXLError):
    """Bytes did not arrive.

    Attributes:
        transfer: The finished transfer, with its status and path.
    """

    def __init__(self, message="", *, transfer=None, **details):
        super().__init__(message, **details)
        self.transfer = transfer


class TransferTimeout(TransferError, TimeoutError):
    """A deadline passed."""

    code = "TIMED_OUT"


class MetadataNotFoundError(NIXLError, KeyError):
    """No such key in the cluster's metadata."""

    code = "NOT_FOUND"


_CLASSES = {
    -2: InvalidArgumentError, -3: OutOfRangeError, -4: NotFoundError, -5: AlreadyExistsError,
    -6: UnsupportedError, -7: PermissionDeniedError, -8: OutOfMemoryError, -9: LimitError,
    -10: BusyError, -11: StaleError, -12: TransferTimeout, -13: CancelledError,
    -14: PeerLostError, -15: InputOutputError, -16: ShortTransferError, -17: CorruptError,
    -18: NoSpaceError,
}


def status_name(code):
    return functions["status_name"](code).decode()


def from_struct(error):
    """The exception of a filled ``nixl_error``."""
    return _CLASSES.get(error.code, NIXLError)(
        error.message.decode("utf-8", "replace"), code=status_name(error.code),
        hint=error.hint.decode("utf-8", "replace"), detail=error.detail, retryable=error.retry != 0)


def last(code):
    """The exception of this thread's last failed call, which returned ``code``."""
    error = Error(struct_size=ctypes.sizeof(Error))
    functions["last_error"](ctypes.byref(error))
    if error.code == code:
        return from_struct(error)
    return _CLASSES.get(code, NIXLError)(status_name(code), code=status_name(code))


def of_request(context, request, code):
    """The exception of a request that ended with ``code``."""
    error = Error(struct_size=ctypes.sizeof(Error))
    if request and functions["request_error"](context, request, ctypes.byref(error)) == 0 and (
            error.code == code):
        return from_struct(error)
    if code == STALE:  # nothing of it is known any more
        return StaleError("the library was closed; how the transfer ended is not known",
                          hint="a longer drain_timeout lets it end")
    name = status_name(code)
    return _CLASSES.get(code, NIXLError)("the transfer ended with " + name, code=name)


def check(code):
    """Raises unless ``code`` is OK."""
    if code:
        raise last(code)


def read_text(function, *arguments):
    """The text that a C call writes into ``out, capacity, needed``."""
    needed = ctypes.c_size_t(4096)
    while True:
        capacity = needed.value
        out = ctypes.create_string_buffer(capacity)
        check(function(*arguments, out, capacity, ctypes.byref(needed)))
        if needed.value <= capacity:
            return out.value.decode("utf-8", "replace")


def missing(what, needs):
    """The error of a name that exists in the interface but not in this version."""
    return UnsupportedError(
        "%s is not part of this version: it needs %s" % (what, needs),
        hint="nixl.__version__ tells the version; docs/conformance.md lists what it has")
