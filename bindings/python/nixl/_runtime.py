# SPDX-License-Identifier: Apache-2.0
"""Opening and closing the default context, by hand or at the first use."""

import ctypes
import os
from _thread import RLock

from . import _errors, _log
from ._library import Setting, functions

_lock = RLock()
_context = 0  # 0: not open as far as Python knows
_closing = False  # a thread is in finalize()
_exiting = False
_foreign = set()  # contexts of the process that this one was forked from
_closing_waits_for_views = False
_registered = False
_telemetry = None  # asked for before the context was open
allocators = {}  # by name: (allocator, table of the C ABI); every context gets them
pending = {}  # settings given to configure() before the context was open
at_fork = []  # functions that forget what belongs to threads of the parent
before_close = []  # functions that settle what would not survive the close; see _finalize()
views = {}  # by id: weak references of arrays over memory that the library owns


def text_of(name, value):
    """How a setting's value is written for the C ABI."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ",".join(text_of(name, item) for item in value)
    if name == "log_level" and isinstance(value, int):  # a level of the logging module
        return {10: "debug", 20: "info", 30: "warn", 40: "error", 50: "error"}.get(
            value, "trace" if 0 < value < 10 else str(value))
    if name == "log_level" and isinstance(value, str) and value.lower() == "warning":
        return "warn"
    if isinstance(value, (str, int, float)):
        return str(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "value"):  # Backend.UCX
        return text_of(name, value.value)
    raise TypeError("%s cannot be a %s" % (name, type(value).__name__))


def setting_array(settings):
    """The C form of a dict of settings."""
    items = [(name, text_of(name, value)) for name, value in settings.items()]
    for name, value in items:
        if name == "allocator" and value != "default" and value not in allocators:
            raise _errors.NotFoundError(
                "there is no allocator %r" % value,
                hint="register_allocator() it first; known are " + ", ".join(
                    ["default"] + list(allocators)))
    array = (Setting * max(1, len(items)))()
    for row, (name, value) in zip(array, items):
        row.name = name.encode()
        row.value = value.encode()
    return array, len(items)


def is_open():
    return _context != 0


def is_current(context):
    """Whether handles of this context still mean something."""
    return context == _context


def context():
    """The default context, opened with the environment's settings if it is not open."""
    return _context or _open({})


def _open(settings):
    global _context, _closing_waits_for_views
    with _lock:
        if _context and not settings:
            return _context
        merged = dict(pending)
        merged.update(settings)
        _log.attach()  # before it opens, as opening has things to say
        handle = ctypes.c_uint64()
        if merged:
            array, count = setting_array(merged)
            status = functions["default_open"](array, count, ctypes.byref(handle))
        else:
            status = functions["default_context"](ctypes.byref(handle))
        if status:
            error = _errors.last(status)
            _log.detach()
            raise error
        _after_open(handle.value)
        _closing_waits_for_views = False
        _context = handle.value  # last: from here on other threads use it without the lock
        return _context


def _after_open(context):
    global _registered
    for name, (_allocator, table) in allocators.items():
        try:
            _tell_allocator(context, name, table)
        except _errors.AlreadyExistsError:  # by code in C, which has opened the context
            pass
    if _telemetry is not None:
        _errors.check(functions["telemetry_enable"](context, int(_telemetry)))
    if not _registered:
        import atexit
        atexit.register(_at_exit)
        _registered = True


def _tell_allocator(context, name, table):
    _errors.check(functions["allocator_register"](context, name.encode(), ctypes.byref(table)))


def add_allocator(name, allocator, table):
    """For the context that is open, and for those to come. Keeps both alive."""
    with _lock:
        known = allocators.get(name)
        if known is not None and known[0] is allocator:
            return
        if known is not None:
            raise _errors.AlreadyExistsError(
                "there is an allocator %r already" % name,
                hint="choose another name; memory of the old one may be in use")
        if _context:
            _tell_allocator(_context, name, table)
        allocators[name] = allocator, table


def initialize(backend=None, enable_gpu=None, log_level=None, **settings):
    """Sets up the library; may be left out, as the first use does it with the environment's
    settings.

    Args:
        backend: Preferred engine of network and storage legs: a ``Backend`` or its name.
        enable_gpu: True is an error where there is no GPU; None uses what is there.
        log_level: ``"ERROR"``, ``"WARN"``, ``"INFO"``, ``"DEBUG"`` or ``"TRACE"``; the more verbose
            of this and ``NIXL_LOG_LEVEL`` counts. **settings: Any other setting that ``nixl-info
            --config`` lists.

    Set up already, it is content when every setting given here has that value. The child of a fork
    starts anew: what the parent has made is refused there.

    Raises:
        AlreadyExistsError: One of them has another value; ``finalize()`` first.
        InvalidArgumentError: An unknown setting (with the closest known name) or a bad value.
    """
    global _context
    given = {"backend": backend, "enable_gpu": enable_gpu, "log_level": log_level}
    given = {name: value for name, value in given.items() if value is not None}
    given.update(settings)
    with _lock:
        if _context:
            if not given:
                return
            array, count = setting_array(given)
            handle = ctypes.c_uint64()
            _errors.check(functions["default_open"](array, count, ctypes.byref(handle)))
            if handle.value != _context:  # code in C has closed it
                _after_open(handle.value)
                _context = handle.value
        else:
            _open(given)


def finalize():
    """Waits for transfers in flight and gives everything back. Safe at any time, and more than
    once.

    Memory that the library owns and that a NumPy array or tensor still looks at stays until the
    last of them is gone; the library closes then. ``initialize()`` may follow.

    Raises:
        BusyError: In the callback of a transfer.
    """
    _check_not_in_callback()
    _finalize(True)


def _check_not_in_callback():
    from . import _watch
    if _watch.is_in_callback():
        raise _errors.BusyError("nixl cannot be finalized in a callback of one of its transfers",
                                hint="let another thread do it")


def _finalize(warn):
    """Closes it, or leaves that to the last array. What waits, waits without the lock: callbacks
    that run meanwhile may use the library and must not wait for this thread."""
    global _context, _closing, _closing_waits_for_views, _telemetry
    with _lock:
        if not _context or _closing:
            return
        _closing = True
    drain = None
    try:
        for settle in before_close:
            drain = settle() or drain
    except BaseException:  # Ctrl-C: it stays open
        _closing = False
        raise
    with _lock:
        context, _context = _context, 0
        _closing = False
        _telemetry = None
        pending.clear()
        left = len(views)
        _closing_waits_for_views = left != 0
    if not left:
        _close(context, drain)
    elif warn:
        _log.say("warning", "finalize: %d arrays or tensors still use memory of nixl; closing "
                 "when the last one is gone", left)


def _close(context, drain=None):
    """``drain``: how many seconds the library may wait, and how many if it refuses to close."""
    global _context
    if drain is not None:
        _set_drain_timeout(context, drain[0])
    status = functions["default_close"]()
    with _lock:
        if status in (_errors.OK, _errors.STALE):
            if not _context:  # else a callback has opened it again
                _log.detach()
            return
        if not _context:
            _context = context  # refused: it is open still
    error = _errors.last(status)
    if drain is not None:
        _set_drain_timeout(context, drain[1])
    raise error


def _set_drain_timeout(context, seconds):
    array, count = setting_array({"drain_timeout": "%dns" % round(seconds * 1e9)})
    functions["context_configure"](context, array, count)  # fails when it is closed already


def view_gone():
    """The last array that looked at some memory of the library is gone."""
    global _closing_waits_for_views
    if _exiting or views:
        return
    with _lock:
        if not _closing_waits_for_views or _context:
            return
        _closing_waits_for_views = False
    _close(0)


def remember_telemetry(enabled):
    global _telemetry
    _telemetry = enabled


def telemetry_wanted():
    return bool(_telemetry)


def _at_exit():
    global _exiting
    _exiting = True  # arrays that live on go with the process, and nobody needs to hear of them
    try:
        for _again in (1, 2):  # a callback may have opened it once more
            _finalize(False)
    except _errors.NIXLError as error:
        _log.say("error", "finalize at exit: %s", error)
    finally:
        _log.detach()


def is_foreign(context):
    """Whether handles of this context belong to the process that this one was forked from."""
    return context in _foreign


def _after_fork():
    # The lock may have been held by a thread that does not exist here. The library itself answers
    # calls on the parent's context with a clear error in the child, which opens one of its own.
    global _lock, _closing, _closing_waits_for_views, _context
    _lock = RLock()
    _closing = _closing_waits_for_views = False
    views.clear()  # nothing of the parent's is closed here, so nothing waits for them
    _log.detach()  # the parent's thread that reads the lines is not here
    if _context:
        _foreign.add(_context)
        _context = 0
    for forget in at_fork:
        forget()


# At import, as a thread may hold a lock while the library is not open yet, or while it opens.
os.register_at_fork(after_in_child=_after_fork)
