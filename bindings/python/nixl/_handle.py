# SPDX-License-Identifier: Apache-2.0
"""The handle of a transfer: waiting for it, asking it, and what remains when it is dropped."""

import ctypes
import time

from . import _calls, _errors, _runtime, _watch
from ._enums import TransferStatus
from ._library import RequestDescription, functions

_IN_PROGRESS, _SUCCESS, _FAILED = (
    TransferStatus.IN_PROGRESS, TransferStatus.SUCCESS, TransferStatus.FAILED)
_STATUS = {0: _SUCCESS, _errors.CANCELLED: TransferStatus.CANCELLED,
           _errors.TIMED_OUT: TransferStatus.TIMEOUT}
GOING_ON = (1, -1)  # in progress, interrupted

_poll, _wait = _calls.poll, _calls.wait


def _nanoseconds(timeout):
    if timeout != timeout:
        raise _errors.InvalidArgumentError("timeout is a number of seconds, not NaN")
    return -1 if timeout > 9e9 else max(0, int(timeout * 1e9))


class Path(dict):
    """The path of a transfer as the library reports it; ``str(path)`` is its name."""

    def __str__(self):
        return str(self.get("name", dict.__repr__(self)))


def read_path(function, *arguments):
    import json
    return Path(json.loads(_errors.read_text(function, *arguments)))


class Transfer:
    """A transfer that was started. Returned by ``transfer``, ``transfer_async`` and
    ``Prepared.post``.

    Dropping it does not stop the transfer, and keeps both ends alive until it has ended. ``await``
    it, ``wait()`` for it, ask ``done()``, or add a callback. Any thread.
    """

    __slots__ = ("_context", "_request", "_keep", "_code", "_extra", "__weakref__")

    def __init__(self, context, request, keep, code):
        self._context = context
        self._request = request  # 0 once what is worth knowing was copied
        self._keep = keep  # (source, target), or the Prepared
        self._code = code  # None while in flight, else the final status of the C ABI
        self._extra = None

    # What is needed seldom: error, path and callbacks.
    def _more(self):
        if self._extra is None:
            self._extra = {}
        return self._extra

    def _finish(self, code):
        """Notes the end, once, and runs the callbacks that are there by now."""
        if self._code is None:
            self._code = code
        # Taken whole by one thread; watch() may add one to a transfer whose end was noted already.
        callbacks = self._extra.pop("callbacks", None) if self._extra else None
        if callbacks:
            _watch.run_callbacks(self, callbacks)

    def _now(self):
        """The final status of the C ABI, or None while it goes on."""
        code = self._code
        if code is None:
            code = _poll(self._context, self._request)
            if code in GOING_ON:
                return None
            self._finish(code)
        return code

    def done(self):
        """Whether it has ended. Never blocks."""
        if self._code is not None:
            return True
        code = _poll(self._context, self._request)
        if code == 1:
            return False
        self._finish(code)
        return True

    def wait(self, timeout=None):
        """Blocks until it has ended; other Python threads run meanwhile and Ctrl-C works.

        Args:
            timeout: Seconds; None: no end.

        Returns:
            The ``TransferStatus``. ``TIMEOUT`` when ``timeout`` passed; the transfer goes on then.
            A failure does not raise: see ``status``, ``error`` and ``raise_if_failed()``.

        Raises:
            BusyError: In a callback on the thread that would have to finish it.
        """
        if self._code is None or self._callback_runs():
            nanoseconds = -1 if timeout is None else _nanoseconds(timeout)
            code = _wait(self._context, self._request, nanoseconds)
            if code in GOING_ON:
                return TransferStatus.TIMEOUT
            if code == _errors.BUSY:
                raise _errors.last(code)
            self._finish(code)
        return _STATUS.get(self._code, _FAILED)

    def _callback_runs(self):
        """Whether the end is known already, but another thread is in the callback still."""
        return self._extra is not None and self._extra.get("callback") and (
            not _watch.is_in_callback())

    @property
    def status(self):
        """The ``TransferStatus`` now."""
        code = self._now()
        return _IN_PROGRESS if code is None else _STATUS.get(code, _FAILED)

    @property
    def error(self):
        """Why it failed, in one sentence; None on success and while it goes on."""
        failure = self.exception()
        return None if failure is None else str(failure)

    def exception(self):
        """The ``NIXLError`` that says why it failed, or None."""
        code = self._now()
        if not code:
            return None
        more = self._more()
        if "error" not in more:
            more["error"] = _errors.of_request(self._context, self._request, code)
        return more["error"]

    def raise_if_failed(self):
        """Raises ``TransferError`` when it has failed or was cancelled, ``TransferTimeout``, which
        is one, when its deadline passed."""
        cause = self.exception()
        if cause is not None:
            timed_out = isinstance(cause, _errors.TransferTimeout)
            raise (_errors.TransferTimeout if timed_out else _errors.TransferError)(
                cause.message, transfer=self, code=cause.code, hint=cause.hint, detail=cause.detail,
                retryable=cause.retryable) from cause

    @property
    def path(self):
        """The path taken: a dict with its legs, the expected rate, and why nothing better was
        possible."""
        if self._extra is not None and "path" in self._extra:
            return self._extra["path"]
        return read_path(functions["request_path"], self._context, self._request)

    @property
    def bytes_done(self):
        """Bytes that have surely arrived."""
        if self._extra is not None and "bytes_done" in self._extra:
            return self._extra["bytes_done"]
        description = RequestDescription(struct_size=ctypes.sizeof(RequestDescription))
        _errors.check(functions["request_describe"](
            self._context, self._request, ctypes.byref(description)))
        return description.bytes_done

    def cancel(self):
        """Asks for an early end and returns at once.

        ``status`` becomes CANCELLED when nothing can write to the destination any more, or what it
        was if the transfer had ended before.
        """
        if self._code is None:
            _errors.check(functions["request_cancel"](self._context, self._request))

    def add_done_callback(self, callback):
        """Calls ``callback(transfer)`` once when it has ended, at once if it has.

        It runs on the thread that sees the end or on one of nixl's. What it raises is logged.
        """
        if self._now() is None:
            if _watch.watch(self, callback):
                return
        _watch.run_callbacks(self, [callback])

    def __await__(self):
        if self._now() is None:
            import asyncio
            loop = asyncio.get_running_loop()
            future = loop.create_future()

            def finished(_transfer):
                try:
                    loop.call_soon_threadsafe(lambda: future.done() or future.set_result(None))
                except RuntimeError:
                    pass  # the loop was closed: nobody waits any more

            self.add_done_callback(finished)
            yield from future
        return self.status

    def _settle(self):
        """Copies what can be asked later, so that the request can be used for something else."""
        code = self._now()
        if code is None or not self._request:
            return False
        self.exception()
        more = self._more()
        for name in ("path", "bytes_done"):
            try:
                more[name] = getattr(self, name)
            except _errors.NIXLError:
                more[name] = Path() if name == "path" else 0
        return True

    def __repr__(self):
        return "<nixl.Transfer %s>" % self.status.name


class OwnTransfer(Transfer):
    """One whose request nobody else uses."""

    __slots__ = ()

    def __del__(self):
        if not hasattr(self, "_extra"):
            return  # it could not even be made
        if self._code is None:
            if _watch.adopt(self):
                return
        if self._request:
            _calls.release(self._context, self._request)

    def _settle(self):
        if not Transfer._settle(self):
            return False
        request, self._request = self._request, 0
        _calls.release(self._context, request)
        return True


def _live_transfers():
    """Handles that exist, but for those of the process that this one was forked from. Slow, for
    when all request slots are taken and for finalize()."""
    import gc
    things = gc.get_objects()
    found = [thing for thing in things
             if issubclass(type(thing), Transfer)  # isinstance() would ask what a weakref.proxy has
             and hasattr(thing, "_extra")  # else another thread is just making it
             and not _runtime.is_foreign(thing._context)]
    things.clear()  # another thread's list may hold this one, and the next this thread's ...
    return found


class Room:
    """For one call that found all request slots taken.

    Looking for handles is slow. Nothing given back from before a failed try to the end of a look
    that found nothing means that all is in flight, and another look would find no more.
    """

    _MOST_TRIES = 100  # other threads may take for ever what is given back here
    _last_given = None  # by any thread: another object each time

    def __init__(self):
        self._tries, self._in_vain, self._seen = 0, False, Room._last_given

    def made(self):
        """Gives slots of finished transfers back whose handles are still held. Whether another try
        may find one: others take what is given back here, and the reverse."""
        self._tries += 1
        if self._tries == 1:
            return True  # the try that failed may be older than what was seen
        if self._tries > self._MOST_TRIES or (
                self._in_vain and self._seen is Room._last_given):
            return False
        for transfer in _live_transfers():
            if isinstance(transfer, OwnTransfer) and transfer._settle():  # others have no slot
                Room._last_given = object()
        last = Room._last_given
        self._in_vain, self._seen = last is self._seen, last
        return True


class _DrainTime:
    """The setting drain_timeout: one time for all that wait while the library is closed."""

    whole = end = None  # seconds; read at the first use, as mostly nothing has to be waited for

    def left(self):
        """Seconds."""
        if self.end is None:
            from . import _settings
            self.whole = _settings.setting("drain_timeout")
            self.end = time.monotonic() + self.whole
        return max(0.0, self.end - time.monotonic())


def _settle_before_close():
    """The library forgets requests when it closes; handles shall still know how they ended.

    Of a failure that nobody can have looked at by now, nobody may ever hear.

    Returns:
        When something was waited for: how many seconds the library may still wait, and how many it
        may when it is not closed after all.
    """
    drain_time = _DrainTime()
    for transfer in _live_transfers():
        if transfer._code is None and transfer._request and transfer._context == (
                _runtime.context()):
            transfer.wait(drain_time.left())
            if transfer._code is not None and "callback" not in (transfer._extra or ()):
                _watch.tell(transfer)
        if transfer._request and transfer._context == _runtime.context():
            transfer._settle()
    _watch.drain(drain_time.left)
    if drain_time.end is None:
        return None
    # The library cancels what it has waited for, and gives that a tenth of its time to come back.
    return max(drain_time.left(), drain_time.whole / 10), drain_time.whole


_runtime.before_close.append(_settle_before_close)
