# SPDX-License-Identifier: Apache-2.0
"""Finds libnixl, loads it with ctypes and declares its functions.

Handles of the C ABI are structs of two 32-bit numbers that travel in one register, so here they are
plain 64-bit integers; 0 means none.
"""

import ctypes
import os
import sys
from ctypes import (
    POINTER, c_char, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p)

NAME = "libnixl.so.0"
_HERE = os.path.dirname(os.path.abspath(__file__))


class Setting(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("value", c_char_p)]


class Error(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32), ("code", c_int32), ("scope", c_uint32), ("retry", c_uint32),
        ("detail", c_int32), ("reserved", c_uint32),
        ("message", c_char * 1024), ("hint", c_char * 512),
    ]


class BufferDescription(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32), ("kind", c_uint32), ("address", c_uint64), ("bytes", c_uint64),
        ("device", c_int32), ("flags", c_uint32), ("users", c_uint32), ("peer", c_uint32 * 2),
        ("reserved", c_uint32),
    ]


class PoolDescription(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("kind", c_uint32), ("device", c_int32),
                ("buffers", c_uint32)] + [
        (name, c_uint64) for name in (
            "bytes", "used_bytes", "peak_bytes", "largest_free_bytes", "allocations", "refusals")
    ]


class AllocatorTable(ctypes.Structure):
    ALLOCATE = ctypes.CFUNCTYPE(c_void_p, c_void_p, c_uint64)
    FREE = ctypes.CFUNCTYPE(None, c_void_p, c_void_p, c_uint64)
    _fields_ = [("struct_size", c_uint32), ("kind", c_uint32), ("user", c_void_p),
                ("allocate", ALLOCATE), ("free", FREE), ("release", c_void_p)]


class PipelineOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("stages", c_uint32), ("chunk_bytes", c_uint64)]


class PostOptions(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32), ("flags", c_uint32), ("opcode", c_uint32),
        ("path_policy", c_uint32), ("deadline_ns", c_int64), ("done", c_void_p), ("user", c_void_p),
        ("queue", c_uint64), ("stream", c_void_p), ("notification", c_void_p),
        ("notification_bytes", c_uint64),
    ]


class RequestDescription(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32), ("status", c_int32), ("bytes_wanted", c_uint64),
        ("bytes_done", c_uint64), ("elements", c_uint64), ("elements_done", c_uint64),
        ("first_bad_element", c_uint64), ("posted_ns", c_uint64), ("completed_ns", c_uint64),
        ("detail", c_int32), ("legs", c_uint32), ("direct", c_uint32), ("simulated", c_uint32),
    ]


class Metrics(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("enabled", c_uint32)] + [
        (name, c_uint64) for name in (
            "transfers", "failures", "bytes", "busy_ns", "staged_bytes", "registration_lookups",
            "registration_hits", "pool_lookups", "pool_hits", "abandoned", "short_retries")
    ]


DONE = ctypes.CFUNCTYPE(None, c_void_p, c_uint64, c_int32)
LOG = ctypes.CFUNCTYPE(None, c_void_p, c_int, c_char_p, c_int, c_char_p)

_TEXT = [c_char_p, c_size_t, POINTER(c_size_t)]
_HANDLE = POINTER(c_uint64)
# Name: result, arguments. A context, buffer, pool, list, request or queue is a c_uint64.
_PROTOTYPES = {
    "version": (c_char_p, []),
    "status_name": (c_char_p, [c_int32]),
    "last_error": (None, [POINTER(Error)]),
    "log_set": (None, [c_void_p, c_void_p, c_int]),
    "default_context": (c_int32, [_HANDLE]),
    "default_open": (c_int32, [POINTER(Setting), c_uint32, _HANDLE]),
    "default_close": (c_int32, []),
    "context_open": (c_int32, [POINTER(Setting), c_uint32, _HANDLE]),
    "context_close": (c_int32, [c_uint64]),
    "context_configure": (c_int32, [c_uint64, POINTER(Setting), c_uint32]),
    "report": (c_int32, [c_uint64, c_char_p] + _TEXT),
    "buffer_wrap": (c_int32, [c_uint64, c_void_p, c_uint64, c_uint32, c_int32, c_uint32, _HANDLE]),
    "buffer_allocate": (c_int32, [c_uint64, c_uint64, c_uint32, c_int32, c_uint32, _HANDLE]),
    "buffer_open": (
        c_int32, [c_uint64, c_char_p, c_uint32, c_uint64, c_uint64, c_uint32, _HANDLE]),
    "buffer_flush": (c_int32, [c_uint64, c_uint64]),
    "buffer_free": (c_int32, [c_uint64, c_uint64, c_int64]),
    "buffer_describe": (c_int32, [c_uint64, c_uint64, POINTER(BufferDescription)]),
    "allocator_register": (c_int32, [c_uint64, c_char_p, POINTER(AllocatorTable)]),
    "pool_create": (c_int32, [c_uint64, c_uint64, c_uint32, c_int32, _HANDLE]),
    "pool_allocate": (
        c_int32,
        [c_uint64, c_uint64, c_uint64, c_uint64, _HANDLE, POINTER(BufferDescription)]),
    "pool_describe": (c_int32, [c_uint64, c_uint64, POINTER(PoolDescription)]),
    "pool_free": (c_int32, [c_uint64, c_uint64]),
    "list_create": (
        c_int32, [c_uint64, _HANDLE, c_uint32, c_void_p, c_uint64, _HANDLE]),
    "list_of_request": (c_int32, [c_uint64, c_uint64, c_uint32, _HANDLE]),
    "list_release": (c_int32, [c_uint64, c_uint64]),
    "request_create": (c_int32, [c_uint64, c_uint64, c_uint64, _HANDLE]),
    "request_create_pipelined": (
        c_int32, [c_uint64, c_uint64, c_uint64, POINTER(PipelineOptions), _HANDLE]),
    "request_create_range": (
        c_int32, [c_uint64, c_uint64, c_uint64, c_uint64, c_uint64, c_uint64, _HANDLE]),
    "request_create_rows": (
        c_int32, [c_uint64, c_uint64, c_uint64, c_void_p, c_uint64, c_uint32, _HANDLE]),
    "request_create_lists": (c_int32, [c_uint64, c_uint64, c_uint64, _HANDLE]),
    "request_post": (c_int32, [c_uint64, c_uint64, POINTER(PostOptions)]),
    "request_post_indexed": (
        c_int32, [c_uint64, c_uint64, c_void_p, c_void_p, c_uint64, POINTER(PostOptions)]),
    "transfer_start": (
        c_int32, [c_uint64, c_uint64, c_uint64, POINTER(PostOptions), _HANDLE]),
    "request_poll": (c_int32, [c_uint64, c_uint64]),
    "request_wait": (c_int32, [c_uint64, c_uint64, c_int64]),
    "request_cancel": (c_int32, [c_uint64, c_uint64]),
    "request_release": (c_int32, [c_uint64, c_uint64]),
    "request_describe": (c_int32, [c_uint64, c_uint64, POINTER(RequestDescription)]),
    "request_error": (c_int32, [c_uint64, c_uint64, POINTER(Error)]),
    "request_path": (c_int32, [c_uint64, c_uint64] + _TEXT),
    "explain": (c_int32, [c_uint64, c_uint64, c_uint64, c_uint64] + _TEXT),
    "memory_trim": (c_int32, [c_uint64, POINTER(c_uint64)]),
    "memory_figures": (c_int32, [c_int32, POINTER(c_uint64), POINTER(c_uint64)]),
    "device_count": (c_int32, [POINTER(c_uint32)]),
    "telemetry_enable": (c_int32, [c_uint64, c_int]),
    "telemetry_reset": (c_int32, [c_uint64]),
    "telemetry_read": (c_int32, [c_uint64, POINTER(Metrics)]),
}


def _candidates():
    """Where the library may lie, the most certain place first."""
    named = os.environ.get("NIXL_LIBRARY")
    if named:
        return [named]
    site = os.path.dirname(_HERE)
    places = [_HERE]
    try:
        from ._build import LIBRARY_DIR  # written by the build: from the package to the library
    except ImportError:
        pass
    else:
        places.append(os.path.normpath(os.path.join(_HERE, LIBRARY_DIR)))
    folder = site
    for _ in range(4):  # PREFIX/lib/python3.X/site-packages and relatives
        folder = os.path.dirname(folder)
        places.append(folder if os.path.basename(folder) == "lib" else os.path.join(folder, "lib"))
    files = [os.path.join(place, NAME) for place in places]
    files[1:1] = _in_wheel(os.path.join(site, ".nixl.mesonpy.libs"))
    return list(dict.fromkeys(files)) + [NAME]


def _in_wheel(folder):
    """A wheel holds no links, so there the library has its full version in its name."""
    try:
        return [os.path.join(folder, name) for name in sorted(os.listdir(folder))
                if name.startswith(NAME)]
    except OSError:
        return []


def _load():
    if not sys.platform.startswith("linux"):
        raise ImportError("nixl runs on Linux only, not on " + sys.platform)
    tried = []
    for path in _candidates():
        if os.sep in path and not os.path.exists(path):
            tried.append(path + ": no such file")
            continue
        try:
            return ctypes.CDLL(path)
        except OSError as error:
            tried.append("%s: %s" % (path, error))
    raise ImportError(
        "nixl cannot load its library %s. Tried:\n  %s\nSet NIXL_LIBRARY to its path."
        % (NAME, "\n  ".join(tried)))


def _declare(library):
    functions = {}
    for name, (result, arguments) in _PROTOTYPES.items():
        function = getattr(library, "nixl_" + name)
        function.restype = result
        function.argtypes = arguments
        functions[name] = function
    return functions


library = _load()
functions = _declare(library)


def address(name):
    """Where a function of the C ABI lies, for the compiled calls."""
    return ctypes.cast(functions[name], c_void_p).value
