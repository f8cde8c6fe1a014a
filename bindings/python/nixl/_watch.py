# SPDX-License-Identifier: Apache-2.0
"""What happens when a transfer ends and no caller waits: callbacks, await, handles that were
dropped.

A callback given at the start comes straight from the library. For one that is added later, and for
a handle that is dropped in flight, a thread of this module waits: it exists only while there is
something to wait for.
"""

import ctypes
from _thread import RLock, allocate_lock, get_ident, start_new_thread

from . import _calls, _errors, _runtime
from ._library import DONE, functions

_SLICE_NS = (
    1000000  # how late another watched transfer may be noticed while the first is waited for
)

_lock = RLock()
_watched = []  # transfers with callbacks, and dropped ones
_running = False
_posted = {}  # number -> (transfer, callback) of posts whose callback the library will make
_numbers = iter(range(1, 1 << 62))
_calling = {}  # number of a post -> the thread that its callback runs on
_callback_ended = allocate_lock()  # released whenever one has returned
_callback_ended.acquire()


def run_callbacks(transfer, callbacks):
    for callback in callbacks:
        try:
            callback(transfer)
        except BaseException as error:
            from . import _log

            _log.say(
                "error", "a callback of %r raised %s: %s", transfer, type(error).__name__, error
            )


@DONE
def _done(user, _request, code):
    with _lock:
        transfer, callback = _posted.get(user, (None, None))
        if transfer is None:
            return
        _calling[user] = get_ident()
    try:
        transfer._finish(code)
        run_callbacks(transfer, [callback])
    finally:
        with _lock:
            _posted.pop(user, None)  # only now: finalize() waits for callbacks to return
            transfer._extra["callback"] = False
            _calling.pop(user, None)
            if _callback_ended.locked():
                _callback_ended.release()


def is_in_callback():
    """Whether this thread runs a callback that the library called."""
    return get_ident() in _calling.values()


_DONE_ADDRESS = ctypes.cast(_done, ctypes.c_void_p).value


def post_with_callback(transfer, callback, options, post):
    """Posts so that ``callback(transfer)`` runs before any wait returns."""
    transfer._more()["callback"] = True  # it is to come, and will see how the transfer ended
    if not callable(callback):
        raise TypeError("callback is called with the transfer; a %s cannot be called"
                        % type(callback).__name__)
    number = next(_numbers)
    options.done, options.user = _DONE_ADDRESS, number
    with _lock:
        _posted[number] = (transfer, callback)
    status = (functions["request_post"](transfer._context, transfer._request, ctypes.byref(options))
              if post is None else post(options))
    if status:
        with _lock:
            _posted.pop(number, None)
        raise _errors.last(status)


def watch(transfer, callback):
    """Adds a callback to a transfer in flight. False when it has ended meanwhile."""
    with _lock:
        if transfer._code is not None:
            return False
        transfer._more().setdefault("callbacks", []).append(callback)
        if not any(entry is transfer for entry in _watched):
            _watched.append(transfer)
        _ensure_thread()
        return True


class _Dropped:
    """What is left of a handle that was dropped in flight."""

    def __init__(self, transfer):
        self._context, self._request, self._keep = (
            transfer._context,
            transfer._request,
            transfer._keep,
        )

    def _finish(self, code):
        tell(self, code)
        _calls.release(self._context, self._request)


class _DroppedPrepared:
    """What is left of a Prepared that was dropped with its last post in flight."""

    def __init__(self, prepared, transfer):
        self._context, self._request = transfer._context, transfer._request
        self._keep = prepared._ends
        requests = {prepared._request, transfer._request}
        self._rest = (requests - {transfer._request}, prepared._lists)

    def _finish(self, code):
        tell(self, code)
        _calls.release(self._context, self._request)
        for request in self._rest[0]:
            _calls.release(self._context, request)
        if self._rest[1] is not None:
            self._rest[1].release()


def adopt_prepared(prepared, transfer):
    """Takes over the last post of a Prepared that is being dropped."""
    with _lock:
        _watched.append(_DroppedPrepared(prepared, transfer))
        _ensure_thread()


def tell(transfer, code=None):
    """Logs a failure that nobody will look at any more, in the words of the request."""
    code = transfer._code if code is None else code
    if code in (_errors.OK, _errors.CANCELLED, _errors.STALE):
        return
    from . import _log
    _log.say("error", "a transfer failed and nobody looked: %s",
             _errors.of_request(transfer._context, transfer._request, code))


def adopt(transfer):
    """Takes over a handle that is being dropped. False when its transfer has ended."""
    if _runtime.is_foreign(transfer._context):
        return False  # it is the parent's
    code = _calls.poll(transfer._context, transfer._request)
    if code not in (_errors.IN_PROGRESS, _errors.INTERRUPTED):
        tell(transfer, code)
        return False
    with _lock:
        _watched.append(_Dropped(transfer))
        _ensure_thread()
    return True


def _ensure_thread():
    global _running
    if not _running:
        _running = True
        try:
            start_new_thread(_run, ())
        except RuntimeError:  # the interpreter is ending; finalize() drains what is left
            _running = False


def _run():
    global _running
    while True:
        with _lock:
            if not _watched:
                _running = False
                return
            first = _watched[0]
        _calls.wait(first._context, first._request, _SLICE_NS)
        _sweep()


def _sweep():
    with _lock:
        entries = _watched[:]
    for entry in entries:
        code = _calls.poll(entry._context, entry._request)
        if code in (_errors.IN_PROGRESS, _errors.INTERRUPTED):
            continue
        if _take(entry):
            entry._finish(code)


def _take(entry):
    """Removes it from the list; False when another thread has."""
    with _lock:
        for index, other in enumerate(_watched):
            if other is entry:
                del _watched[index]
                return True
    return False


def drain(seconds):
    """Waits for everything watched, at most ``seconds()``."""
    if not _watched and not _posted:
        return
    import time
    end = time.monotonic() + seconds()
    while time.monotonic() < end:
        with _lock:
            entries = _watched[:] + [transfer for number, (transfer, _) in _posted.items()
                                     if number not in _calling]
            if not entries and not _calling:
                return
        if entries:
            _calls.wait(entries[0]._context, entries[0]._request, _SLICE_NS)
            _sweep()
        else:
            _callback_ended.acquire(timeout=max(0, min(0.1, end - time.monotonic())))


def _after_fork():
    global _lock, _running
    _lock = RLock()
    _running = False
    _watched.clear()
    _posted.clear()
    _calling.clear()


_runtime.at_fork.append(_after_fork)
