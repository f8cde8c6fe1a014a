# SPDX-License-Identifier: Apache-2.0
"""prepare: transfers that are checked and planned once and started again and again."""

import ctypes
import operator
import sys

from . import _arrays, _calls, _errors, _runtime, _watch
from ._library import RequestDescription, functions
from ._handle import GOING_ON, Room, Transfer
from ._buffer import StorageBuffer
from ._transfer import (
    carry_layout, ends, locked_size, options_of, prepare_target, refused)

_post, _poll, _new = _calls.post, _calls.poll, object.__new__


class Prepared:
    """A transfer ready to be posted any number of times, one post at a time. Made by
    ``prepare``."""

    __slots__ = ("_context", "_request", "_ends", "_has_rows", "_lists", "_bytes", "_unsettled",
                 "_target", "_total", "__weakref__")

    def __init__(self, context, request, both_ends, has_rows, size):
        self._context = context
        self._request = request
        self._ends = both_ends
        self._has_rows = has_rows  # else it is one range, everything
        self._lists = None  # the request over two block lists, made at the first post with indices
        self._total = size
        self._bytes = max(size, locked_size(*both_ends))  # as the calls are told
        # A file that every post may have to cut; runs leave alone what lies beside them.
        self._target = both_ends[1] if not has_rows and (
            both_ends[1].__class__ is StorageBuffer) else None
        self._unsettled = None  # the last post, until its end was seen

    def post(self, indices=None, *, target_indices=None, deadline=None, stream=None, callback=None,
             path_policy=None):
        """Starts it and returns at once.

        Args:
            indices: Which blocks to move: every row is a block, and a row with a count is that
                many.
                None: all of them.
            target_indices: Block ``indices[i]`` of the source goes to block ``target_indices[i]``
                of the target; by default to that of the same number.
            deadline: Seconds after which the transfer is given up.
            stream: A CUDA stream to join.
            callback: Called as ``callback(transfer)`` once it has ended.
            path_policy: ``"allow"``, ``"warn"`` or ``"require_direct"``.

        Returns:
            The ``Transfer`` of this post.

        Raises:
            BusyError: The last post is still in flight.
        """
        if self._unsettled is not None:
            self._settle_last()
        if self._target is not None:
            prepare_target(self._target)
        if indices is None and deadline is None and stream is None and callback is None and (
                path_policy is None and target_indices is None):
            status = _post(self._context, self._request, self._bytes)
            if status:
                raise refused(*self._ends, _errors.last(status))
            result = _new(PostedTransfer)  # half the cost of the call with arguments
            result._context = self._context
            result._request = self._request
            result._keep = self
            result._code = result._extra = None
            self._unsettled = result
            return result
        result = self._post_with(
            indices, target_indices,
            options_of(deadline, stream, path_policy, self._ends), callback)
        if result._code is None:  # a callback may have come already
            self._unsettled = result
        return result

    def _settle_last(self):
        last = self._unsettled
        if last._now() is None:
            raise _errors.BusyError("the last post is still in flight",
                                    hint="wait for it or cancel it", retryable=True)
        # Nobody has looked yet, and without a variable of the caller's nobody will: `last`,
        # getrefcount()'s argument, and _unsettled until _finish() has dropped it.
        if last._code and sys.getrefcount(last) <= 2:
            _watch.tell(last)

    def _post_with(self, indices, target_indices, options, callback):
        if indices is None:
            if target_indices is not None:
                raise _errors.InvalidArgumentError("target_indices without indices")
            result = PostedTransfer(self._context, self._request, self, None)
            arguments = None
        else:
            source = _indices(indices)
            target = (
                _indices(target_indices) if target_indices is not None else (None, 0, source[2])
            )
            if target[2] != source[2]:
                raise _errors.InvalidArgumentError(
                    "%d indices for the source, %d for the target" % (source[2], target[2]))
            result = PostedTransfer(self._context, self._list_request(), self, None)
            arguments = (source[1], target[1], source[2])

        def post(chosen):
            if arguments is None:
                return functions["request_post"](
                    self._context, result._request, ctypes.byref(chosen)
                )
            return functions["request_post_indexed"](
                self._context, result._request, arguments[0] or None, arguments[1] or None,
                arguments[2], ctypes.byref(chosen))

        if callback is not None:
            _watch.post_with_callback(result, callback, options, post)
        else:
            status = post(options)
            if status:
                raise refused(*self._ends, _errors.last(status))
        return result

    def _list_request(self):
        if self._lists is None:
            self._lists = _Lists(self)
        return self._lists.request

    @property
    def path(self):
        """The path that posts take; see ``Transfer.path``."""
        return Transfer(self._context, self._request, self, 0).path

    def __del__(self):
        try:
            unsettled = self._unsettled
        except AttributeError:
            return  # never made
        if unsettled is not None and unsettled._code is None and not _runtime.is_foreign(
                self._context):
            code = _calls.poll(self._context, unsettled._request)
            if code in GOING_ON:
                _watch.adopt_prepared(self, unsettled)
                return
            _watch.tell(unsettled, code)
        self._release()

    def _release(self):
        _calls.release(self._context, self._request)
        if self._lists is not None:
            self._lists.release()


class PostedTransfer(Transfer):
    """One post of a Prepared, which owns the request."""

    __slots__ = ()

    def _finish(self, code):
        prepared = self._keep
        if self._code is None and (code or self._request != prepared._request):
            self._code = code
            self._copy()  # the next post overwrites the library's record of it
        Transfer._finish(self, code)
        if prepared._unsettled is self:
            prepared._unsettled = None

    def _copy(self):
        self.exception()
        try:
            done = self.bytes_done
        except _errors.NIXLError:  # closing ended it: the library knows nothing of it any more
            done = 0
        self._more()["bytes_done"] = done

    @property
    def bytes_done(self):
        """Bytes that have surely arrived."""
        if self._code == 0 and self._request == self._keep._request:
            return self._keep._total  # all of them; the request may speak of another post by now
        return Transfer.bytes_done.__get__(self)

    def done(self):
        """Whether it has ended. Never blocks."""
        if self._code is not None:
            return True
        code = _poll(self._context, self._request)
        if code == 1:
            return False
        if code or self._extra is not None or self._request != self._keep._request:
            self._finish(code)  # callbacks wait, or there is something to copy
            return True
        self._code = code  # _finish(), without its calls
        prepared = self._keep
        if prepared._unsettled is self:
            prepared._unsettled = None
        return True


class _Lists:
    """The same rows as two lists of blocks, which an index can pick from."""

    __slots__ = ("context", "source", "target", "request")

    def __init__(self, prepared):
        if not prepared._has_rows:
            raise _errors.InvalidArgumentError(
                "there are no blocks to pick from", hint="prepare(src, dst, runs) makes blocks")
        self.context = prepared._context
        self.source = self.target = self.request = 0
        try:
            self.source = self._list(prepared, 0)
            self.target = self._list(prepared, 1)
            request = ctypes.c_uint64()
            _errors.check(functions["request_create_lists"](
                self.context, self.source, self.target, ctypes.byref(request)))
            self.request = request.value
        except BaseException:
            self.release()
            raise

    def _list(self, prepared, side):
        result = ctypes.c_uint64()
        _errors.check(functions["list_of_request"](
            self.context, prepared._request, side, ctypes.byref(result)))
        return result.value

    def release(self):
        if self.request:
            _calls.release(self.context, self.request)
        for handle in (self.source, self.target):
            if handle:
                functions["list_release"](self.context, handle)


def _indices(values):
    """What keeps them, their address as uint32, and how many."""
    from array import array
    interface = getattr(values, "__array_interface__", None)
    if interface is not None and interface["typestr"][1:] not in ("u4", "i4", "i8", "u8"):
        raise TypeError("indices are whole numbers, not %s" % interface["typestr"])
    if interface is None or interface["typestr"] != "<u4" or interface.get("strides") is not None:
        numbers = values.tolist() if hasattr(values, "tolist") else values
        try:
            values = array("I", numbers)
        except OverflowError as error:
            raise _errors.OutOfRangeError("indices are 0 .. 2^32 - 1: %s" % error) from None
    memory = _arrays.of_buffer_protocol(values)
    return values, memory.address, memory.bytes // 4


def _rows(runs):
    """The runs as whole numbers of 64 bits: what keeps them, their address, rows and columns."""
    interface = getattr(runs, "__array_interface__", None)
    if interface is None and not isinstance(runs, (list, tuple)):
        if hasattr(runs, "tolist"):
            runs = runs.tolist()
        runs = [tuple(row) for row in runs]
    if interface is None:
        return _rows_of_sequence(runs)
    kind, shape = interface["typestr"], interface["shape"]
    if kind[1] not in "iu":
        raise TypeError("runs are whole numbers of bytes, not %s" % kind)
    if len(shape) != 2 or shape[1] not in (3, 6):
        raise _errors.InvalidArgumentError(
            "runs are N x 3 (source offset, target offset, bytes) or N x 6 (and source stride, "
            "target stride, count), not %s" % (tuple(shape),)
        )
    import numpy
    array = numpy.asarray(runs)
    if kind[2:] != "8" or kind[0] == ">":
        array = array.astype("<i8" if kind[1] == "i" else "<u8")
    elif interface.get("strides") is not None:
        array = numpy.ascontiguousarray(array)
    return array, array.__array_interface__["data"][0], shape[0], shape[1]


def _rows_of_sequence(runs):
    from array import array
    columns = len(runs[0]) if runs else 3
    if columns not in (3, 6):
        raise _errors.InvalidArgumentError("a run has 3 or 6 numbers, not %d" % columns)
    numbers = array("Q")
    for row in runs:
        if len(row) != columns:
            raise _errors.InvalidArgumentError("runs of 3 and of 6 numbers cannot be mixed")
        for column, number in enumerate(row):
            try:
                number = operator.index(number)
            except TypeError as error:
                raise _errors.InvalidArgumentError(
                    "a run has whole numbers, not %r" % (number,)) from error
            if not (-1 << 63 if column in (3, 4) else 0) <= number < 1 << 64:
                raise _errors.OutOfRangeError("%d is no offset, size or count in bytes" % number)
            numbers.append(number & 0xFFFFFFFFFFFFFFFF)
    address = numbers.buffer_info()[0] if numbers else 0
    return numbers, address, len(runs), columns


def prepare(src, dst, runs=None):
    """Checks and plans a transfer once, to be posted again and again.

    Args:
        src: A ``Buffer`` or an array.
        dst: The same, writable.
        runs: N x 3 whole numbers ``(source offset, target offset, bytes)``, or N x 6 with ``(source
            stride, target stride, count)`` added: ``count`` elements, the strides apart. A NumPy
            array of int64 or uint64 is read where it lies. None: all of ``src`` to the start of
            ``dst``.

    Returns:
        A ``Prepared``.

    Raises:
        OutOfRangeError: A run lies outside its buffer; the message names it.
    """
    src, dst = ends(src, dst)
    request = ctypes.c_uint64()
    rows = _rows(runs) if runs is not None else None
    room = Room()
    while True:
        if rows is None:
            status = functions["request_create"](
                src._context, src._handle, dst._handle, ctypes.byref(request))
        else:
            status = functions["request_create_rows"](
                src._context, src._handle, dst._handle, rows[1] or None, rows[2], rows[3],
                ctypes.byref(request))
        if status != _errors.AGAIN or not room.made():
            break
    if status:
        raise refused(src, dst, _errors.last(status))
    if rows is None:
        carry_layout(src, dst)
    description = RequestDescription(struct_size=ctypes.sizeof(RequestDescription))
    functions["request_describe"](src._context, request, ctypes.byref(description))
    return Prepared(src._context, request.value, (src, dst), rows is not None,
                    description.bytes_wanted)
