# SPDX-License-Identifier: Apache-2.0
"""transfer, transfer_async and explain."""

import ctypes

from . import _allocators, _calls, _errors, _runtime, _watch
from ._buffer import Buffer, StorageBuffer
from ._handle import GOING_ON, OwnTransfer, Room, read_path
from ._library import PostOptions, functions

_POLICIES = {None: 0, "default": 0, "allow": 1, "warn": 2, "require_direct": 3}

_NO_END_S = 9e9  # what 64 bits hold in nanoseconds

_start, _start_waited = _calls.start, _calls.start_waited


def _end(thing, role):
    """A Buffer for whatever was passed as src or dst."""
    if isinstance(thing, Buffer):
        return thing
    if thing is None:
        raise TypeError("%s is None; pass a Buffer, an array or bytes" % role)
    if hasattr(thing, "_nixl_source"):
        return thing
    try:
        return Buffer.from_host(thing)
    except TypeError as error:
        raise TypeError("%s: %s" % (role, error)) from None


def ends(src, dst, plan=False):
    """Both ends as Buffers; storage objects are opened now that the other end's size is known.

    With ``plan`` nothing is made or changed for the target.
    """
    given, dst = _end(src, "src"), _end(dst, "dst")
    src = given if isinstance(given, Buffer) else given._nixl_source()
    if not isinstance(dst, Buffer):
        if not src._handle:
            raise _errors.StaleError("src: the buffer was freed", hint="make a new one")
        _check_current(src, src)  # before the target is made
        dst = dst._nixl_plan(src._size) if plan else dst._nixl_target(src._size, given)
    if src._context is not dst._context:
        check_contexts(src, dst)
    return src, dst


def check_contexts(src, dst):
    """Raises when the ends are of two contexts: in one, the other's handle may name any buffer."""
    if src._context != dst._context:
        _check_current(src, dst)
        raise _errors.InvalidArgumentError("src and dst are of two contexts")


def _check_current(src, dst):
    """Raises, with the library's own reason, when one is of a context that is not open here."""
    for buffer in (src, dst):
        if not _runtime.is_current(buffer._context):
            try:
                buffer._describe()
            except _errors.NIXLError as error:
                raise refused(src, dst, error) from None


def prepare_target(dst):
    """What is to happen to the target after every check and before the post."""
    if dst.__class__ is StorageBuffer and dst.before_post is not None:
        dst.before_post()


_ALWAYS_UNLOCKED = 1 << 63


def locked_size(src, dst):
    """How many bytes the calls are told: those of storage never keep the interpreter's lock."""
    if src.__class__ is StorageBuffer or dst.__class__ is StorageBuffer:
        return _ALWAYS_UNLOCKED
    return src._size


def refused(src, dst, error):
    """The error to raise for a transfer that was not made; says what only Python knows."""
    why = _allocators.cause()  # staging memory may come from one
    if isinstance(error, _errors.OutOfMemoryError) and error.__cause__ is None:
        error.__cause__ = why
    for role, buffer in (("src", src), ("dst", dst)):
        if not buffer._handle:
            return _errors.StaleError("%s: the buffer was freed" % role, hint="make a new one")
        if isinstance(error, _errors.StaleError) and not _runtime.is_current(buffer._context):
            error.hint = "%s is from before nixl.finalize()" % role
    return error


def carry_layout(src, dst):
    if dst._layout is None and src._layout is not None and src._size == dst._size:
        dst._layout = src._layout


def _joined(stream, ends):
    """The number of a stream for the C ABI. Default streams, which mean another one in each
    context, are waited for here."""
    from . import _streams
    number = _streams.number_of(stream)
    devices = {end._device for end in ends if end._device >= 0}
    if not _streams.is_default(number) or not devices:
        return number
    for device in devices:
        _streams.settle(number, device)
    return None


def options_of(deadline, stream, path_policy, ends):
    options = PostOptions(struct_size=ctypes.sizeof(PostOptions))
    if deadline is not None:
        if not deadline > 0:
            raise _errors.InvalidArgumentError("deadline is a positive number of seconds")
        if deadline < _NO_END_S:  # else it is none: nobody lives that long
            options.deadline_ns = max(1, int(deadline * 1e9))
    if path_policy not in _POLICIES:
        raise _errors.InvalidArgumentError(
            "path_policy %r is none of allow, warn, require_direct" % (path_policy,))
    if stream is not None:
        options.stream = _joined(stream, ends)
    options.path_policy = _POLICIES[path_policy]
    return options


def _make(src, dst, pipeline):
    """A request over two Buffers that is not posted yet."""
    create, more = functions["request_create"], ()
    if pipeline is not None:
        create, more = functions["request_create_pipelined"], (ctypes.byref(pipeline),)
    request = ctypes.c_uint64()
    room = Room()
    while True:
        status = create(src._context, src._handle, dst._handle, *more, ctypes.byref(request))
        if status != _errors.AGAIN or not room.made():
            break
    if status:
        raise refused(src, dst, _errors.last(status))
    return request.value


def start_with_options(src, dst, options, callback, pipeline=None):
    request = _make(src, dst, pipeline)
    result = OwnTransfer(src._context, request, (src, dst), None)
    try:
        prepare_target(dst)
        if callback is None:
            status = functions["request_post"](src._context, request, ctypes.byref(options))
            if status:
                raise refused(src, dst, _errors.last(status))
        else:
            try:
                _watch.post_with_callback(result, callback, options, None)
            except _errors.NIXLError as error:
                raise refused(src, dst, error) from error.__cause__
    except BaseException:
        result._code = _errors.INVALID_ARGUMENT  # never posted: nothing to wait for
        raise
    return result


def _started(src, dst, start):
    """Starts with one of the fast calls, making room when all request slots are taken."""
    room = None
    while True:
        result = start(src._context, src._handle, dst._handle, locked_size(src, dst))
        if result.__class__ is int:
            return OwnTransfer(src._context, result, (src, dst), None)
        status, request = result
        if request:
            code = None if status in GOING_ON or status == _errors.BUSY else status
            return OwnTransfer(src._context, request, (src, dst), code)
        error = _errors.last(status)
        room = room or Room()
        if status != _errors.AGAIN or not room.made():
            raise refused(src, dst, error)


_settings_read = {}  # what was read once, forgotten by configure() and finalize()
forget_settings = _settings_read.clear
_runtime.before_close.append(forget_settings)
_runtime.at_fork.append(forget_settings)


def _setting(name):
    if name not in _settings_read:
        from . import _settings
        _settings_read[name] = _settings.setting(name)
    return _settings_read[name]


def transfer(src, dst, *, deadline=None, stream=None, path_policy=None):
    """Copies all of ``src`` to the start of ``dst`` and returns when it is there.

    Args:
        src: A ``Buffer``, an array, bytes, or an object of a store.
        dst: The same, writable and at least as large.
        deadline: Seconds after which the transfer is given up.
        stream: A CUDA stream to join: a stream of PyTorch or CuPy, or its number. What is on it now
            goes before what GPUs do for the transfer. A default stream is waited for by this call.
        path_policy: ``"allow"``, ``"warn"`` or ``"require_direct"``; by default the setting.

    Returns:
        The finished ``Transfer``.

    Raises:
        TransferError: Bytes did not arrive (with ``configure(raise_on_error=False)`` the returned
            handle tells it instead).
        NIXLError: The call is wrong; nothing has moved.
    """
    if src.__class__ is not Buffer or dst.__class__ is not Buffer or (
            src._context is not dst._context):
        src, dst = ends(src, dst)
        simple = src.__class__ is Buffer and dst.__class__ is Buffer
    else:
        simple = True
    if simple and deadline is None and stream is None and path_policy is None:
        request = _start_waited(src._context, src._handle, dst._handle, src._size)
        if request.__class__ is int:
            result = OwnTransfer(src._context, request, (src, dst), 0)
            if dst._layout is None:
                carry_layout(src, dst)
            return result
        if request[1]:
            status = request[0]
            if status == _errors.BUSY:  # in a callback on the thread that would have to finish it
                error = _errors.last(status)
                OwnTransfer(src._context, request[1], (src, dst), None).cancel()
                raise error
            result = OwnTransfer(
                src._context, request[1], (src, dst), None if status in GOING_ON else status)
        elif request[0] == _errors.AGAIN:
            result = _started(src, dst, _start_waited)
        else:
            raise refused(src, dst, _errors.last(request[0]))
    else:
        result = start_with_options(
            src, dst, options_of(deadline, stream, path_policy, (src, dst)), None)
    return end_of_wait(result, src, dst)


def end_of_wait(result, src, dst):
    """Waits for a transfer as blocking calls do, and returns or raises as they do."""
    try:
        result.wait()
    except BaseException:  # Ctrl-C: nobody will want the bytes
        result.cancel()
        raise
    if result._code == 0:
        carry_layout(src, dst)
    elif _setting("raise_on_error"):
        result.raise_if_failed()
    return result


def transfer_async(src, dst, *, deadline=None, stream=None, path_policy=None, callback=None):
    """Starts copying all of ``src`` to the start of ``dst`` and returns at once.

    ``src`` must not change, and ``dst`` not be used, until the transfer has ended. A failure that
    nobody looks at is logged as an ERROR.

    Args:
        src, dst, deadline, stream, path_policy: As for ``transfer``.
        callback: Called as ``callback(transfer)`` once it has ended, before any ``wait()`` returns.
            It may start transfers, but not wait for them.

    Returns:
        A ``Transfer`` to wait for, ask or ``await``.
    """
    src, dst = ends(src, dst)
    if deadline is None and stream is None and path_policy is None and callback is None and (
            src.__class__ is Buffer and dst.__class__ is Buffer):
        result = _started(src, dst, _start)
    else:
        result = start_with_options(
            src, dst, options_of(deadline, stream, path_policy, (src, dst)), callback)
    carry_layout(src, dst)
    return result


def explain(src, dst, size=None):
    """What a transfer would do, without doing it.

    Returns:
        A dict with the path's ``name``, its legs and expected rate, and for each better path why it
        is not possible.
    """
    src, dst = ends(src, dst, plan=True)
    if not src._handle or not dst._handle:
        raise refused(src, dst, None)
    return read_path(functions["explain"], src._context, src._handle, dst._handle,
                     src._size if size is None else size)


def transfer_range(src, src_offset, dst, dst_offset, size):
    """The finished transfer of a part of one Buffer to a part of another."""
    check_contexts(src, dst)
    request = ctypes.c_uint64()
    status = functions["request_create_range"](
        src._context, src._handle, src_offset, dst._handle, dst_offset, size, ctypes.byref(request))
    if status:
        raise refused(src, dst, _errors.last(status))
    result = OwnTransfer(src._context, request.value, (src, dst), None)
    status = _calls.post(src._context, request.value, locked_size(src, dst))
    if status:
        result._code = status
        raise refused(src, dst, _errors.last(status))
    result.wait()
    return result
