# SPDX-License-Identifier: Apache-2.0
"""What the machine has and what the library can do on it."""

import ctypes

from . import _errors, _registration, _runtime
from ._library import functions


def _figures(device_id):
    free, total = ctypes.c_uint64(), ctypes.c_uint64()
    device = -1 if device_id is None else device_id
    if (
        isinstance(device, bool)
        or not isinstance(device, int)
        or (device < 0 and device_id is not None)
    ):
        raise _errors.InvalidArgumentError(
            "device_id is the number of a GPU, not %r" % (device_id,)
        )
    _errors.check(functions["memory_figures"](device, ctypes.byref(free), ctypes.byref(total)))
    return free.value, total.value


def get_free_memory(device_id=None):
    """Free bytes of the host (within the limit of its control group), or of a GPU."""
    return _figures(device_id)[0]


def get_total_memory(device_id=None):
    """Bytes of the host (within the limit of its control group), or of a GPU."""
    return _figures(device_id)[1]


def get_device_count():
    """GPUs that can be used; 0 without a driver."""
    count = ctypes.c_uint32()
    _errors.check(functions["device_count"](ctypes.byref(count)))
    return count.value


def gc():
    """Gives cached memory and unused registrations back to the system; live buffers stay.

    Returns:
        How many bytes were given back.
    """
    _registration.retry_parked()
    if not _runtime.is_open():
        return 0
    released = ctypes.c_uint64()
    _errors.check(functions["memory_trim"](_runtime.context(), ctypes.byref(released)))
    return released.value


def get_capabilities(verbose=False):
    """What this machine offers: ``{'gdrcopy': bool, 'ucx': bool, 'gds': bool}``.

    Args:
        verbose: For every capability that the library knows of, a dict with ``available`` and
            ``reason``.
    """
    import json
    context = _runtime.context() if _runtime.is_open() else 0
    found = json.loads(_errors.read_text(functions["report"], context, b"capabilities"))
    if isinstance(found, dict) and isinstance(found.get("capabilities"), (list, dict)):
        found = found["capabilities"]
    if isinstance(found, list):
        found = {row["name"]: row for row in found}
    known = {}
    for name in ("gdrcopy", "ucx", "gds"):
        row = found.get(name, {"available": False, "reason": "not part of this version"})
        known[name] = _capability(row)
    if not verbose:
        return {name: row["available"] for name, row in known.items()}
    for name, row in found.items():
        if name not in known and isinstance(row, dict) and "available" in row:
            known[name] = _capability(row)
    return known


def _capability(row):
    if isinstance(row, bool):
        row = {"available": row}
    return {"available": bool(row.get("available")), "reason": row.get("reason", "")}


def get_audit_log():
    """Entries of the audit log with ``timestamp``, ``action`` and ``node_id``; none while it is
    off."""
    from ._settings import get_config
    if get_config()["audit_log"].value:
        raise _errors.missing("the audit log", "the audit writer")
    return []
