# SPDX-License-Identifier: Apache-2.0
"""The calls that are made once per transfer: numbers in, numbers out.

They come from the compiled module ``_hot`` where it is built, else from ctypes. NIXL_PYTHON_HOT=0
takes ctypes, a path takes the module at that path. Both have the same signatures and the same
rules:

* ``start`` and ``start_waited`` return the request as an integer, or ``(status, request)`` when the
  status is not OK; the request is 0 when nothing was made.
* ``start``, ``start_waited`` and ``post`` are told how many bytes they move, or more than there
  can be when an end is storage: small copies in memory are made with the interpreter's lock held,
  everything else without it. Nothing ever waits with it.
* ``wait`` takes nanoseconds (negative: no end); ``wait`` and ``start_waited`` let Python's signal
  handlers run. An exception of a handler ends ``start_waited``'s transfer.
* ``BUSY`` of a wait says that this thread cannot wait now, and nothing about the transfer.
"""

import ctypes
import os
import time

from ._library import address, functions

_SLICE_NS = 200000000  # a signal that arrives just before the wait must not be lost for ever


def _with_ctypes():
    transfer_start = functions["transfer_start"]
    request_wait = functions["request_wait"]
    request_post = functions["request_post"]
    request_release = functions["request_release"]
    now_ns = time.monotonic_ns
    byref, handle = ctypes.byref, ctypes.c_uint64

    def start(context, source, target, size):
        request = handle()
        status = transfer_start(context, source, target, None, byref(request))
        return (status, request.value) if status else request.value

    def start_waited(context, source, target, size):
        request = handle()
        status = transfer_start(context, source, target, None, byref(request))
        if not status:
            try:
                status = wait(context, request.value, -1)
            except BaseException:
                request_release(context, request.value)
                raise
        return (status, request.value) if status else request.value

    def post(context, request, size):
        return request_post(context, request, None)

    def wait(context, request, timeout_ns):
        end = now_ns() + timeout_ns if timeout_ns >= 0 else None
        while True:
            left = _SLICE_NS if end is None else max(0, min(_SLICE_NS, end - now_ns()))
            status = request_wait(context, request, left)
            if status == 1 and end is not None and now_ns() >= end:
                return status
            if status not in (1, -1):  # neither in progress nor interrupted
                return status

    return start, start_waited, post, functions["request_poll"], wait, request_release


def _load_hot(choice):
    if choice and choice != "1":
        import importlib.util
        from importlib.machinery import ExtensionFileLoader
        loader = ExtensionFileLoader("nixl._hot", choice)
        spec = importlib.util.spec_from_file_location("nixl._hot", choice, loader=loader)
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
        return module
    from . import _hot
    return _hot


def _with_hot(choice):
    module = _load_hot(choice)
    module.bind(*[address(name) for name in (
        "transfer_start", "request_post", "request_poll", "request_wait", "request_release")])
    return module, (
        module.start, module.start_waited, module.post, module.poll, module.wait, module.release)


def _choose():
    choice = os.environ.get("NIXL_PYTHON_HOT", "")
    if choice == "0":
        return None, _with_ctypes()
    try:
        return _with_hot(choice)
    except ImportError:
        if choice:
            raise
        return None, _with_ctypes()


hot_module, (start, start_waited, post, poll, wait, release) = _choose()
