# SPDX-License-Identifier: Apache-2.0
"""transfer, transfer_async, explain, and the handle that they return."""

import ctypes

from . import _calls, _errors, _runtime, _watch
from ._buffer import Buffer
from ._enums import TransferStatus
from ._library import Error, PostOptions, RequestDescription, functions

_PENDING, _IN_PROGRESS = TransferStatus.PENDING, TransferStatus.IN_PROGRESS
_SUCCESS, _FAILED = TransferStatus.SUCCESS, TransferStatus.FAILED
_STATUS = {0: _SUCCESS, _errors.CANCELLED: TransferStatus.CANCELLED,
           _errors.TIMED_OUT: TransferStatus.TIMEOUT}
_POLICIES = {None: 0, "default": 0, "allow": 1, "warn": 2, "require_direct": 3}
_GOING_ON = (1, -1)  # in progress, interrupted

_start, _start_waited, _poll, _wait = (
    _calls.start, _calls.start_waited, _calls.poll, _calls.wait)


class Path(dict):
    """The path of a transfer as the library reports it; ``str(path)`` is its name."""

    def __str__(self):
        return str(self.get("name", dict.__repr__(self)))


def read_path(function, *arguments):
    import json
    return Path(json.loads(_errors.read_text(function, *arguments)))


class Transfer:
    """A transfer that was started. Returned by ``transfer``, ``transfer_async`` and ``Prepared.post``.

    Dropping it does not stop the transfer, and keeps both ends alive until it has ended. ``await`` it,
    ``wait()`` for it, ask ``done()``, or add a callback. Any thread.
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
        """Notes the end, once."""
        if self._code is None:
            self._code = code
            callbacks = self._extra.pop("callbacks", None) if self._extra else None
            if callbacks:
                _watch.run_callbacks(self, callbacks)

    def _now(self):
        """The final status of the C ABI, or None while it goes on."""
        code = self._code
        if code is None:
            code = _poll(self._context, self._request)
            if code in _GOING_ON:
                return None
            self._finish(code)
        return code

    def done(self):
        """Whether it has ended. Never blocks."""
        return self._now() is not None

    def wait(self, timeout=None):
        """Blocks until it has ended; other Python threads run meanwhile and Ctrl-C works.

        Args:
            timeout: Seconds; None: no end.

        Returns:
            The ``TransferStatus``. ``TIMEOUT`` when ``timeout`` passed; the transfer goes on then. A
            failure does not raise: see ``status``, ``error`` and ``raise_if_failed()``.
        """
        if self._code is None:
            nanoseconds = -1 if timeout is None else max(0, int(timeout * 1e9))
            code = _wait(self._context, self._request, nanoseconds)
            if code in _GOING_ON:
                return TransferStatus.TIMEOUT
            self._finish(code)
        return _STATUS.get(self._code, _FAILED)

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
            more["error"] = self._read_error(code)
        return more["error"]

    def _read_error(self, code):
        error = Error(struct_size=ctypes.sizeof(Error))
        if self._request and functions["request_error"](
                self._context, self._request, ctypes.byref(error)) == 0 and error.code == code:
            return _errors.from_struct(error)
        name = _errors.status_name(code)
        return _errors._CLASSES.get(code, _errors.NIXLError)("the transfer ended with " + name, code=name)

    def raise_if_failed(self):
        """Raises ``TransferError`` when it has failed or was cancelled."""
        cause = self.exception()
        if cause is not None:
            raise _errors.TransferError(
                cause.message, transfer=self, code=cause.code, hint=cause.hint, detail=cause.detail,
                retryable=cause.retryable) from cause

    @property
    def path(self):
        """The path taken: a dict with its legs, the expected rate, and why nothing better was possible."""
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

        ``status`` becomes CANCELLED when nothing can write to the destination any more, or what it was
        if the transfer had ended before.
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
    """Handles that exist. Slow, for when all request slots are taken and for finalize()."""
    import gc
    return [thing for thing in gc.get_objects() if isinstance(thing, Transfer)]


def settle_finished():
    """Gives request slots of finished transfers back whose handles are still held."""
    return sum(transfer._settle() for transfer in _live_transfers())


def _settle_before_close():
    """The library forgets requests when it closes; handles shall still know how they ended."""
    import time
    end = None
    for transfer in _live_transfers():
        if transfer._code is None and transfer._request:
            if end is None:
                end = time.monotonic() + _drain_seconds()
            transfer.wait(max(0.0, end - time.monotonic()))
        if transfer._request and transfer._context == _runtime.context():
            transfer._settle()
    _watch.drain(_drain_seconds)


def _drain_seconds():
    from . import _settings
    value = _settings.setting("drain_timeout")
    return value / 1e9 if isinstance(value, int) else 5.0


_runtime.before_close.append(_settle_before_close)


def _end(thing, role):
    """A Buffer for whatever was passed as src or dst."""
    if isinstance(thing, Buffer):
        return thing
    if thing is None:
        raise TypeError("%s is None; pass a Buffer, an array or bytes" % role)
    if hasattr(thing, "_nixl_end"):
        return thing
    try:
        return Buffer.from_host(thing)
    except TypeError as error:
        raise TypeError("%s: %s" % (role, error)) from None


def ends(src, dst):
    """Both ends as Buffers; storage objects are opened now that the other end's size is known."""
    src, dst = _end(src, "src"), _end(dst, "dst")
    if not isinstance(src, Buffer):
        src = src._nixl_end("src", None)
    if not isinstance(dst, Buffer):
        dst = dst._nixl_end("dst", src._size)
    return src, dst


def refused(src, dst, error):
    """The error to raise for a transfer that was not made; says what only Python knows."""
    for role, buffer in (("src", src), ("dst", dst)):
        if not buffer._handle:
            return _errors.StaleError("%s: the buffer was freed" % role, hint="make a new one")
    if isinstance(error, _errors.StaleError) and not _runtime.is_open():
        error.hint = "nixl.finalize() was called since the buffer was made"
    return error


def _carry_layout(src, dst):
    if dst._layout is None and src._layout is not None and src._size == dst._size:
        dst._layout = src._layout


def _options(deadline, stream, path_policy):
    options = PostOptions(struct_size=ctypes.sizeof(PostOptions))
    if deadline is not None:
        if deadline <= 0:
            raise _errors.InvalidArgumentError("deadline is a positive number of seconds")
        options.deadline_ns = int(deadline * 1e9)
    if stream is not None:
        options.stream = getattr(stream, "cuda_stream", stream)
    if path_policy not in _POLICIES:
        raise _errors.InvalidArgumentError(
            "path_policy %r is none of allow, warn, require_direct" % (path_policy,))
    options.path_policy = _POLICIES[path_policy]
    return options


def _make(src, dst):
    """A request over two Buffers that is not posted yet."""
    request = ctypes.c_uint64()
    for attempt in (1, 2):
        status = functions["request_create"](
            src._context, src._handle, dst._handle, ctypes.byref(request))
        if status != _errors.AGAIN or not settle_finished():
            break
    if status:
        raise refused(src, dst, _errors.last(status))
    return request.value


def _start_with_options(src, dst, options, callback):
    request = _make(src, dst)
    result = OwnTransfer(src._context, request, (src, dst), None)
    try:
        if callback is None:
            _errors.check(functions["request_post"](src._context, request, ctypes.byref(options)))
        else:
            _watch.post_with_callback(result, callback, options, None)
    except BaseException:
        result._code = _errors.INVALID_ARGUMENT  # never posted: nothing to wait for
        raise
    return result


def _started(src, dst, start):
    """Starts with one of the fast calls, making room when all request slots are taken."""
    for attempt in (1, 2):
        result = start(src._context, src._handle, dst._handle, src._size)
        if result.__class__ is int:
            return OwnTransfer(src._context, result, (src, dst), None)
        status, request = result
        if request:
            code = None if status in _GOING_ON else status
            return OwnTransfer(src._context, request, (src, dst), code)
        error = _errors.last(status)
        if status != _errors.AGAIN or not settle_finished():
            raise refused(src, dst, error)
    raise refused(src, dst, error)


_raise_on_error = None  # the setting, read at the first failure and forgotten by configure()


def forget_style():
    global _raise_on_error
    _raise_on_error = None


def _raises():
    global _raise_on_error
    if _raise_on_error is None:
        from . import _settings
        _raise_on_error = _settings.setting("raise_on_error") is not False
    return _raise_on_error


def transfer(src, dst, *, deadline=None, stream=None, path_policy=None):
    """Copies all of ``src`` to the start of ``dst`` and returns when it is there.

    Args:
        src: A ``Buffer``, an array, bytes, or an object of a store.
        dst: The same, writable and at least as large.
        deadline: Seconds after which the transfer is given up.
        stream: A CUDA stream to join.
        path_policy: ``"allow"``, ``"warn"`` or ``"require_direct"``; by default the setting.

    Returns:
        The finished ``Transfer``.

    Raises:
        TransferError: Bytes did not arrive (with ``configure(raise_on_error=False)`` the returned
            handle tells it instead).
        NIXLError: The call is wrong; nothing has moved.
    """
    if src.__class__ is not Buffer or dst.__class__ is not Buffer:
        src, dst = ends(src, dst)
    if deadline is None and stream is None and path_policy is None:
        request = _start_waited(src._context, src._handle, dst._handle, src._size)
        if request.__class__ is int:
            result = OwnTransfer(src._context, request, (src, dst), 0)
            if dst._layout is None:
                _carry_layout(src, dst)
            return result
        if request[1]:
            status = request[0]
            result = OwnTransfer(
                src._context, request[1], (src, dst), None if status in _GOING_ON else status)
        elif request[0] == _errors.AGAIN:
            result = _started(src, dst, _start_waited)
        else:
            raise refused(src, dst, _errors.last(request[0]))
    else:
        result = _start_with_options(src, dst, _options(deadline, stream, path_policy), None)
    try:
        result.wait()
    except BaseException:  # Ctrl-C: nobody will want the bytes
        result.cancel()
        raise
    if result._code == 0:
        _carry_layout(src, dst)
    elif _raises():
        result.raise_if_failed()
    return result


def transfer_async(src, dst, *, deadline=None, stream=None, path_policy=None, callback=None):
    """Starts copying all of ``src`` to the start of ``dst`` and returns at once.

    ``src`` must not change, and ``dst`` not be used, until the transfer has ended. A failure that
    nobody looks at is logged as an ERROR.

    Args:
        src, dst, deadline, stream, path_policy: As for ``transfer``.
        callback: Called as ``callback(transfer)`` once it has ended, before any ``wait()`` returns. It
            may start transfers, but not wait for them.

    Returns:
        A ``Transfer`` to wait for, ask or ``await``.
    """
    src, dst = ends(src, dst)
    if deadline is None and stream is None and path_policy is None and callback is None:
        result = _started(src, dst, _start)
    else:
        result = _start_with_options(src, dst, _options(deadline, stream, path_policy), callback)
    _carry_layout(src, dst)
    return result


def explain(src, dst, size=None):
    """What a transfer would do, without doing it.

    Returns:
        A dict with the path's ``name``, its legs and expected rate, and for each better path why it is
        not possible.
    """
    src, dst = ends(src, dst)
    if not src._handle or not dst._handle:
        raise refused(src, dst, None)
    return read_path(functions["explain"], src._context, src._handle, dst._handle,
                     src._size if size is None else size)


def transfer_range(src, src_offset, dst, dst_offset, size):
    """The finished transfer of a part of one Buffer to a part of another."""
    request = ctypes.c_uint64()
    status = functions["request_create_range"](
        src._context, src._handle, src_offset, dst._handle, dst_offset, size, ctypes.byref(request))
    if status:
        raise refused(src, dst, _errors.last(status))
    result = OwnTransfer(src._context, request.value, (src, dst), None)
    status = _calls.post(src._context, request.value, size)
    if status:
        result._code = status
        raise refused(src, dst, _errors.last(status))
    result.wait()
    return result
