# SPDX-License-Identifier: Apache-2.0
"""Pipeline: transfers in pieces of one's own choice."""

import ctypes

from . import _errors
from ._library import PipelineOptions
from ._transfer import carry_layout, end_of_wait, ends, options_of, start_with_options

_MOST_STAGES = 64
_LEAST_CHUNK, _MOST_CHUNK = 4 << 10, 4 << 30


def _whole_number(name, value, least, most, unit):
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError("%s is a whole number, not a %s" % (name, type(value).__name__))
    value = value.__index__()
    if not least <= value <= most:
        raise _errors.InvalidArgumentError(
            "%s is %d .. %d%s, not %d" % (name, least, most, unit, value))
    return value


class Pipeline:
    """Transfers that have to pass through staging memory, in pieces that overlap.

    The same as ``configure(pipeline_chunks=stages, chunk_size=...)``, for the transfers of this
    object alone. A direct path has nothing to overlap and is taken whole.

    Args:
        stages: Pieces in flight at a time, 1 to 64.
        chunk_size: Bytes of a piece, 4 KiB to 4 GiB; by default the setting ``chunk_size``.
    """

    __slots__ = ("_stages", "_chunk_size", "_options")

    def __init__(self, stages=4, chunk_size=None):
        self._stages = _whole_number("stages", stages, 1, _MOST_STAGES, "")
        self._chunk_size = None if chunk_size is None else _whole_number(
            "chunk_size", chunk_size, _LEAST_CHUNK, _MOST_CHUNK, " bytes")
        self._options = PipelineOptions(
            struct_size=ctypes.sizeof(PipelineOptions), stages=self._stages,
            chunk_bytes=self._chunk_size or 0)

    @property
    def stages(self):
        """Pieces in flight at a time."""
        return self._stages

    @property
    def chunk_size(self):
        """Bytes of a piece; None: as the setting says."""
        return self._chunk_size

    def transfer(self, src, dst, *, deadline=None, stream=None, path_policy=None):
        """The same as ``nixl.transfer``, in this object's pieces.

        Staging memory for all stages has to fit the setting ``pool_size``, beside that of other
        transfers at the same time: ``stages * chunk_size``, or less for a smaller transfer.
        """
        src, dst = ends(src, dst)
        options = options_of(deadline, stream, path_policy, (src, dst))
        return end_of_wait(start_with_options(src, dst, options, None, self._options), src, dst)

    def transfer_async(self, src, dst, *, deadline=None, stream=None, path_policy=None,
                       callback=None):
        """The same as ``nixl.transfer_async``, in this object's pieces."""
        src, dst = ends(src, dst)
        options = options_of(deadline, stream, path_policy, (src, dst))
        result = start_with_options(src, dst, options, callback, self._options)
        carry_layout(src, dst)
        return result

    def __repr__(self):
        size = "" if self._chunk_size is None else ", chunk_size=%d" % self._chunk_size
        return "nixl.Pipeline(stages=%d%s)" % (self._stages, size)
