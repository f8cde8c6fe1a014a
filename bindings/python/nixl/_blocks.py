# SPDX-License-Identifier: Apache-2.0
"""BlockBackend: a block device, or a file used as one."""

import fcntl
import os
import stat
import weakref
from _thread import RLock

from . import _arrays, _errors, _runtime
from ._buffer import BLOCK, READ_ONLY, Buffer
from ._files import DIRECT, FORCE, _from_os, flush, open_storage


class BlockBackend:
    """Reads and writes numbered blocks.

    Args:
        path: A block device, or a regular file, which grows as needed.
        use_gds: Prefer GPUDirect Storage; with a warning where it is not there.
        block_size: Bytes of one block.
        force: Allow writing to a block device. ``NIXL_ALLOW_RAW_WRITE=1`` does the same.
        direct: Bypass the page cache.
    """

    __slots__ = ("path", "block_size", "gds_active", "_flags", "_region", "_regular", "_lock",
                 "_closed", "__weakref__")

    def __init__(self, path, use_gds=False, block_size=4096, force=False, direct=False):
        self.path = os.fspath(path)
        if not isinstance(block_size, int) or block_size <= 0:
            raise _errors.InvalidArgumentError("block_size is a positive number of bytes")
        self.block_size = block_size
        try:
            mode = os.stat(self.path).st_mode
        except OSError as error:
            raise _from_os(self.path, error) from None
        self._regular = stat.S_ISREG(mode)
        if not self._regular and not stat.S_ISBLK(mode):
            raise _errors.InvalidArgumentError(
                "%s is neither a block device nor a regular file" % self.path)
        self._flags = (FORCE if force else 0) | (DIRECT if direct else 0)
        self.gds_active = False
        if use_gds:
            self._ask_for_gds()
        self._lock = RLock()  # guards _region and _closed
        _live.add(self)
        self._closed = False
        self._region = None  # of a file that is empty
        self._open()

    def _ask_for_gds(self):
        from . import _log, _machine
        reasons = _machine.get_capabilities(verbose=True)
        self.gds_active = bool(reasons["gds"]["available"])
        if not self.gds_active:
            _log.say("warning", "%s: GPUDirect Storage is not used: %s", self.path,
                     reasons["gds"]["reason"])

    def _open(self):
        """Looks at the device or file as it is now. Transfers of others keep the old region."""
        if self._regular and not self._file_size():
            return
        try:
            self._region = open_storage(self.path, BLOCK, 0, 0, self._flags)
        except _errors.PermissionDeniedError:
            self._region = open_storage(self.path, BLOCK, 0, 0, self._flags | READ_ONLY)

    def _file_size(self):
        try:
            return os.stat(self.path).st_size
        except OSError as error:
            raise _from_os(self.path, error) from None

    def _range(self, block_id, size, grow):
        """The Buffer over the whole, which holds `size` bytes from the block on, and their
        offset."""
        if isinstance(block_id, bool) or not hasattr(block_id, "__index__"):
            raise TypeError("block_id is a whole number, not a %s" % type(block_id).__name__)
        offset = block_id.__index__() * self.block_size
        if offset < 0 or offset + size >= 1 << 63:
            raise _errors.OutOfRangeError("there is no block %d" % block_id)
        with self._lock:
            if self._closed:
                raise _errors.StaleError("%s was closed" % self.path)
            if size and offset + size > self._known() and self._regular:
                if grow:
                    self._check_writable()
                    # Whole blocks, so that every block that was written can be read.
                    blocks = -(-(offset + size) // self.block_size)
                    _grow(self.path, blocks * self.block_size)
                self._open()
            have = self._known()
            if offset + size > have and (size or not grow):
                raise _errors.OutOfRangeError(
                    "%s has %d bytes; block %d with %d bytes ends at %d" % (
                        self.path, have, block_id, size, offset + size))
            if grow and size:
                self._check_writable()
            return self._region, offset

    def _known(self):
        return self._region._size if self._region is not None else 0

    def _check_writable(self):
        if self._region is None or not self._region.is_read_only:
            return
        if self._regular:
            raise _errors.PermissionDeniedError("%s is not writable" % self.path)
        raise _errors.PermissionDeniedError(
            "%s is a block device: writing to it destroys what it holds" % self.path,
            hint="pass force=True, or set NIXL_ALLOW_RAW_WRITE=1, when you mean it")

    def _move(self, src, src_offset, dst, dst_offset, size):
        from ._transfer import transfer_range
        transfer_range(src, src_offset, dst, dst_offset, size).raise_if_failed()

    def write_block(self, block_id, data):
        """Writes ``data`` from the start of a block on, over as many blocks as it fills.

        What it does not fill of the last block stays as it is.

        Returns:
            The number of bytes written.
        """
        source = data if isinstance(data, Buffer) else Buffer.from_host(data)
        region, offset = self._range(block_id, source._size, True)
        if source._size:
            self._move(source, 0, region, offset, source._size)
        return source._size

    def read_block(self, block_id, size=None, into=None):
        """The bytes of a block.

        Args:
            size: How many, from the start of the block on; by default one block, or all of
                ``into``.
            into: A writable array or ``Buffer`` that takes them; their number is returned then.
        """
        target = None
        if into is not None:
            target = into if isinstance(into, Buffer) else Buffer.from_host(into)
        if size is None:
            size = self.block_size if target is None else target._size
        if size < 0:
            raise _errors.InvalidArgumentError("size cannot be negative")
        region, offset = self._range(block_id, size, False)
        if target is not None and target._size < size:
            raise _errors.OutOfRangeError("%d bytes do not fit into %d" % (size, target._size))
        result = size
        if target is None:
            result, address = _arrays.new_bytes(size)
            target = Buffer._wrap(_arrays.Memory(address, size, False, None, result, -1), False)
        if size:
            self._move(region, offset, target, 0, size)
        return result

    def flush(self):
        """What was written is durable when this returns."""
        region = self._region
        if region is not None:
            flush(region)

    @property
    def size(self):
        """Bytes of the device or file."""
        return self._file_size() if self._regular else self._known()

    def close(self):
        """Closes the device. It cannot be used any more."""
        with self._lock:
            self._closed = True
            region, self._region = self._region, None
        if region is not None:
            region.free()

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.close()

    def __repr__(self):
        return "<nixl.BlockBackend %s, blocks of %d B>" % (self.path, self.block_size)


_live = weakref.WeakSet()


def _after_fork():
    # The locks may have been held by threads that do not exist here.
    for backend in list(_live):
        backend._lock = RLock()


_runtime.at_fork.append(_after_fork)


def _grow(path, size):
    """Makes a file at least `size` bytes long; never shorter, whoever else makes it longer."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _from_os(path, error) from None
    try:
        _flock(descriptor, fcntl.LOCK_EX)  # among all that grow it this way
        if os.fstat(descriptor).st_size < size:
            os.ftruncate(descriptor, size)
    except OSError as error:
        raise _from_os(path, error) from None
    finally:
        _flock(descriptor, fcntl.LOCK_UN)  # a child that was forked meanwhile keeps it open
        os.close(descriptor)


def _flock(descriptor, operation):
    try:
        fcntl.flock(descriptor, operation)
    except OSError:
        pass  # a file system without locks
