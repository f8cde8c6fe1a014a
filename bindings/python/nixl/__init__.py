# SPDX-License-Identifier: Apache-2.0
"""nixl moves bytes between host memory, GPU memory, files, block devices and other machines.

    import nixl, numpy
    source = nixl.Buffer.from_host(numpy.arange(1000))
    target = nixl.Buffer.allocate_host(source.size)
    print(nixl.transfer(source, target).path)

One call, the best path there is, and an honest answer about which one it was. Importing this
package starts no thread and opens nothing; the first use does.
"""

from . import distributed, telemetry
from ._allocators import Allocator, register_allocator
from ._blocks import BlockBackend
from ._buffer import Buffer
from ._enums import Backend, TransferStatus
from ._errors import (
    AlreadyExistsError, BusyError, CancelledError, CorruptError, InputOutputError,
    InvalidArgumentError, LimitError, MetadataNotFoundError, NIXLError, NoSpaceError, NotFoundError,
    OutOfMemoryError, OutOfRangeError, PeerLostError, PermissionDeniedError, ShortTransferError,
    StaleError, TransferError, TransferTimeout, UnsupportedError)
from ._files import FileBackend, FileObject
from ._handle import Path, Transfer
from ._later import S3Backend
from ._library import functions as _functions
from ._machine import (
    gc, get_audit_log, get_capabilities, get_device_count, get_free_memory, get_total_memory)
from ._pipeline import Pipeline
from ._pool import MemoryPool
from ._prepared import Prepared, prepare
from ._runtime import finalize, initialize
from ._settings import Setting, configure, configure_backend, get_config
from ._transfer import explain, transfer, transfer_async

__version__ = _functions["version"]().decode()

__all__ = [
    "__version__", "initialize", "finalize", "transfer", "transfer_async", "prepare", "explain",
    "configure", "configure_backend", "get_config", "register_allocator", "gc", "get_capabilities",
    "get_device_count", "get_total_memory", "get_free_memory", "get_audit_log", "Buffer",
    "Transfer", "Prepared", "Path", "Setting", "MemoryPool", "Pipeline", "Allocator", "Backend",
    "FileBackend", "FileObject", "BlockBackend", "S3Backend", "TransferStatus", "telemetry",
    "distributed", "NIXLError", "InvalidArgumentError", "OutOfRangeError", "NotFoundError",
    "AlreadyExistsError", "UnsupportedError", "PermissionDeniedError", "OutOfMemoryError",
    "LimitError", "BusyError", "StaleError", "TransferTimeout", "CancelledError",
    "PeerLostError", "InputOutputError", "ShortTransferError", "CorruptError", "NoSpaceError",
    "TransferError", "MetadataNotFoundError",
]

for _name in __all__:  # tracebacks and pickles shall name what users import
    if getattr(globals()[_name], "__module__", "").startswith("nixl._"):
        globals()[_name].__module__ = "nixl"
del _name
