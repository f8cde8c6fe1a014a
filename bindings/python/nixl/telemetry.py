# SPDX-License-Identifier: Apache-2.0
"""Counters of what was moved: ``nixl.telemetry.enable()``, later
``nixl.telemetry.get_metrics()``."""

import ctypes

from . import _errors, _runtime
from ._library import Metrics, functions

__all__ = ["enable", "disable", "reset", "is_enabled", "get_metrics"]


def _switch(enabled):
    if _runtime.is_open():
        _errors.check(functions["telemetry_enable"](_runtime.context(), int(enabled)))
    _runtime.remember_telemetry(enabled)


def enable():
    """Counts transfers and measures their times from now on. Once more does nothing."""
    _switch(True)


def disable():
    """Stops counting; what was counted stays."""
    _switch(False)


def reset():
    """Sets every counter to zero."""
    if _runtime.is_open():
        _errors.check(functions["telemetry_reset"](_runtime.context()))


def _read():
    metrics = Metrics(struct_size=ctypes.sizeof(Metrics))
    if _runtime.is_open():
        _errors.check(functions["telemetry_read"](_runtime.context(), ctypes.byref(metrics)))
    else:
        metrics.enabled = _runtime.telemetry_wanted()
    return metrics


def is_enabled():
    """Whether transfers are counted."""
    return bool(_read().enabled)


def _rate(part, whole):
    return part / whole if whole else 0.0


def get_metrics():
    """A snapshot of the counters; zeros before anything was counted.

    Returns:
        A dict. ``bandwidth_gbps`` and ``bandwidth_gigabytes_per_second`` are 10^9 bytes per second
        of the time in which at least one transfer was in flight, ``bandwidth_gigabits_per_second``
        is eight times that; ``cache_hit_rate`` (0 .. 1) counts look-ups of registrations and of
        pools together.
    """
    metrics = _read()
    rate = _rate(metrics.bytes, metrics.busy_ns)
    return {
        "bandwidth_gbps": rate,
        "cache_hit_rate": _rate(metrics.registration_hits + metrics.pool_hits,
                                metrics.registration_lookups + metrics.pool_lookups),
        "bandwidth_gigabytes_per_second": rate,
        "bandwidth_gigabits_per_second": 8 * rate,
        "registration_cache_hit_rate": _rate(
            metrics.registration_hits, metrics.registration_lookups),
        "pool_hit_rate": _rate(metrics.pool_hits, metrics.pool_lookups),
        "transfers": metrics.transfers,
        "failures": metrics.failures,
        "bytes": metrics.bytes,
        "busy_seconds": metrics.busy_ns / 1e9,
        "staged_bytes": metrics.staged_bytes,
        "abandoned": metrics.abandoned,
        "short_retries": metrics.short_retries,
        "enabled": bool(metrics.enabled),
    }
