# SPDX-License-Identifier: Apache-2.0
"""Settings: configure, get_config, configure_backend."""

import collections
import ctypes
import re

from . import _errors, _log, _runtime
from ._library import functions

Setting = collections.namedtuple("Setting", "value origin default environment help")
Setting.__doc__ = "A setting's effective value and where it came from."

_OF_DISTRIBUTED = ("compression", "compression_level", "tls_config", "timeout_sec", "ttl_sec")
_OF_BACKENDS = (
    "endpoint", "access_key", "secret_key", "session_token", "bucket", "region", "verify")

_backend_settings = {}


def _check_scope(settings):
    for name in settings:
        if name in _OF_DISTRIBUTED:
            raise _errors.InvalidArgumentError(
                "%s is no setting of nixl.configure" % name, hint="use nixl.distributed.configure")
        if name in _OF_BACKENDS:
            raise _errors.InvalidArgumentError(
                "%s is no setting of nixl.configure" % name,
                hint="use nixl.configure_backend(backend='s3', ...)")


def configure(**settings):
    """Changes settings, all of them or none.

    Before ``initialize()`` they are checked and kept for it. ``python_logging=True/False`` decides
    whether lines go to Python's logger ``nixl``; every other name is one that ``nixl-info
    --config`` lists.

    Raises:
        InvalidArgumentError: An unknown name (with the closest known one) or a bad value.
        BusyError: A setting that can only be given to ``initialize()``.
    """
    settings = dict(settings)
    _check_scope(settings)
    python_logging = settings.pop("python_logging", _log.wanted)
    if python_logging not in (True, False, None):
        raise _errors.InvalidArgumentError("python_logging is True, False or None")
    if settings:
        array, count = _runtime.setting_array(settings)
        if _runtime.is_open():
            _errors.check(functions["context_configure"](_runtime.context(), array, count))
        else:
            _try_settings({**_runtime.pending, **settings})
            _runtime.pending.update(settings)
    if python_logging is not _log.wanted:
        _log.wanted = python_logging
        if _runtime.is_open():
            _log.detach()
            _log.attach()
    if settings:
        from . import _transfer
        _transfer.forget_settings()


def _try_settings(settings):
    """The library is the judge of names and values: a context is opened with them and closed."""
    array, count = _runtime.setting_array(settings)
    handle = ctypes.c_uint64()
    _errors.check(functions["context_open"](array, count, ctypes.byref(handle)))
    functions["context_close"](handle)


_BYTES = {"": 1, "B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
_NANOSECONDS = {"ns": 1, "us": 1000, "ms": 1000000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


def _typed(kind, text):
    """The Python form of a value or a default as the library writes it."""
    kind = kind.upper()
    if kind == "BOOL":
        return text == "true"
    if kind not in ("INTEGER", "SIZE", "DURATION", "FRACTION"):
        return text
    if not text:
        return None  # chosen by the part that uses it
    if kind == "FRACTION":
        return float(text)
    number, unit = re.match(r"([\d.]+)(\D*)$", text).groups()
    if kind == "DURATION":
        return float(number) * _NANOSECONDS[unit] / 1e9
    return int(number) * _BYTES[unit]


def rows():
    """The library's own report of its settings."""
    import json
    context = _runtime.context() if _runtime.is_open() else 0
    opened = ctypes.c_uint64()
    if not context and _runtime.pending:  # a context like the one that will be opened
        array, count = _runtime.setting_array(_runtime.pending)
        _errors.check(functions["context_open"](array, count, ctypes.byref(opened)))
    try:
        found = json.loads(_errors.read_text(
            functions["report"], context or opened.value, b"config"))
    finally:
        if opened.value:
            functions["context_close"](opened)
    return found.get("settings", found.get("config")) if isinstance(found, dict) else found


def get_config():
    """Every setting with its effective value and where that came from.

    Values and defaults are what ``configure()`` takes: sizes are whole numbers of bytes, durations
    and fractions decimal numbers, durations in seconds. None, which cannot be given, is chosen by
    the part that uses it.

    Returns:
        A dict from name to ``Setting(value, origin, default, environment, help)``.
    """
    result = {}
    for row in rows():
        kind = row.get("type", "TEXT")
        result[row["name"]] = Setting(
            _typed(kind, row["value"]), row.get("origin", "default").lower(),
            _typed(kind, row.get("default", "")), row.get("environment", ""), row.get("help", ""))
    result["python_logging"] = Setting(
        _log.wanted, "default" if _log.wanted is None else "argument", None, "",
        "Whether log lines go to Python's logger nixl; None: when logging is set up.")
    return result


def setting(name):
    """The effective value of one setting."""
    return get_config()[name].value


def configure_backend(backend, **settings):
    """Keeps the settings of a storage service for when it is used; contacts nothing.

    Args:
        backend: ``"s3"``.
        **settings: ``endpoint``, ``access_key``, ``secret_key``, ``session_token``, ``bucket``,
            ``region``, ``verify``.
    """
    name = _runtime.text_of("backend", backend).lower()
    if name != "s3":
        raise _errors.InvalidArgumentError(
            "there is nothing to configure for backend %r" % name, hint="known is 's3'")
    unknown = sorted(set(settings) - set(_OF_BACKENDS))
    if unknown:
        import difflib
        close = difflib.get_close_matches(unknown[0], _OF_BACKENDS, 1)
        raise _errors.InvalidArgumentError(
            "s3 has no setting %r" % unknown[0],
            hint="did you mean %r?" % close[0] if close else "known are " + ", ".join(_OF_BACKENDS))
    if ("access_key" in settings) != ("secret_key" in settings):
        given, other = (("access_key", "secret_key") if "access_key" in settings
                        else ("secret_key", "access_key"))
        raise _errors.InvalidArgumentError("s3: %s is given without %s" % (given, other))
    _backend_settings.setdefault(name, {}).update(settings)
