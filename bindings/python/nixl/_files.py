# SPDX-License-Identifier: Apache-2.0
"""FileBackend: a directory as a store of named byte strings."""

import ctypes
import errno
import os

from . import _arrays, _errors, _runtime
from ._buffer import FILE, READ_ONLY, Buffer, StorageBuffer
from ._library import functions
from ._transfer import transfer

DIRECT, CREATE, TRUNCATE, FORCE = 2, 4, 8, 16
_TEMPORARY = ".nixl-tmp"
_NAMES_TRIED = 16  # each is taken with a chance of one in 2^64


def open_storage(path, kind, offset, size, flags):
    """A Buffer over a part of a file or device; its size is what the library found."""
    handle, context = ctypes.c_uint64(), _runtime.context()
    _errors.check(functions["buffer_open"](
        context, os.fsencode(path), kind, offset, size, flags, ctypes.byref(handle)))
    buffer = StorageBuffer._made(
        context, handle.value, None, False, 0, 0, kind, -1, bool(flags & READ_ONLY), None)
    buffer.before_post = None
    buffer._size = buffer._describe().bytes
    return buffer


def flush(buffer):
    """What was written to storage is durable when this returns."""
    _errors.check(functions["buffer_flush"](buffer._context, buffer._handle))


def moved(src, dst):
    """A transfer whose failure always raises, whatever the setting raise_on_error says."""
    result = transfer(src, dst)
    result.raise_if_failed()
    return result


class FileBackend:
    """Stores bytes under names in a directory.

    A process that is killed while it writes leaves a hidden file that ends in ``.nixl-tmp``. It is
    never listed, and may be removed while nobody writes.

    Args:
        path: The directory; made when missing.
        durable: Whether ``write`` returns only when the bytes survive a power cut.
    """

    __slots__ = ("path", "durable")

    def __init__(self, path, durable=True):
        self.path = os.path.abspath(os.fspath(path))
        self.durable = durable
        try:
            os.makedirs(self.path, exist_ok=True)
        except FileExistsError:
            raise _errors.InvalidArgumentError(
                "%s is a file, not a directory" % self.path, hint="name a directory") from None
        except PermissionError as error:
            raise _errors.PermissionDeniedError(
                "%s: %s" % (self.path, error.strerror), detail=error.errno) from None
        except OSError as error:
            raise _errors.InputOutputError(
                "%s: %s" % (self.path, error.strerror), detail=error.errno or 0) from None

    def _path_of(self, name, follow=True):
        """Where a name lies. With ``follow`` what lies there is used, else it is replaced."""
        name = os.fspath(name)
        if not isinstance(name, str):
            raise TypeError("a name is text, not %s" % type(name).__name__)
        parts = name.split("/")
        if not name or "\0" in name or name.startswith("/") or any(
                part in ("", ".", "..") for part in parts):
            raise _errors.InvalidArgumentError(
                "%r is no name in a store" % name,
                hint="names are relative, without '..' and empty parts; '/' makes sub-directories")
        if name.endswith(_TEMPORARY):
            raise _errors.InvalidArgumentError(
                "names that end in %s are the store's own" % _TEMPORARY
            )
        path = os.path.join(self.path, *parts)
        inside = os.path.realpath(path if follow else os.path.dirname(path))
        root = os.path.realpath(self.path)
        if inside != root and not inside.startswith(root.rstrip("/") + "/"):
            raise _errors.PermissionDeniedError(
                "%s: a symbolic link leaves the store's folder" % path)
        return path

    def write(self, name, data):
        """Stores the bytes of ``data`` under ``name``.

        A reader sees the old content or all of the new one, never a mixture; an error leaves the
        old one.

        Args:
            name: May have sub-directories: ``"a/b.bin"``.
            data: Bytes, an array, a tensor or a ``Buffer``.

        Returns:
            The number of bytes.
        """
        path = self._path_of(name, follow=False)
        source = data if isinstance(data, Buffer) else Buffer.from_host(data)
        folder = os.path.dirname(path)
        _make_folder(folder)
        temporary = _new_temporary(folder)
        try:
            with open_storage(temporary, FILE, 0, source._size, CREATE) as target:
                if source._size:
                    moved(source, target)
                if self.durable:
                    flush(target)
            os.replace(temporary, path)
        except IsADirectoryError:
            _remove_quietly(temporary)
            raise _errors.InvalidArgumentError("%s is a directory" % path) from None
        except BaseException as error:
            _remove_quietly(temporary)
            if isinstance(error, OSError) and not isinstance(error, _errors.NIXLError):
                raise _from_os(path, error) from None
            raise
        if self.durable:
            _sync_folder(folder)
        return source._size

    def read(self, name, into=None, offset=0, size=None, as_buffer=False, device_id=None):
        """The bytes under ``name``.

        Args:
            into: A writable array or ``Buffer`` that takes them; the number of bytes is returned
                then.
            offset: Where to start.
            size: How many; None: up to the end.
            as_buffer: Return a ``Buffer`` instead of ``bytes``, in host memory, or on a GPU with
                ``device_id``.

        Raises:
            NotFoundError: There is nothing under this name. Also a ``FileNotFoundError``.
            OutOfRangeError: The file, or ``into``, has fewer bytes.
        """
        path = self._path_of(name)
        offset, size = _range_of(path, offset, size)
        if into is not None:
            target = into if isinstance(into, Buffer) else Buffer.from_host(into)
            if target._size < size:
                raise _errors.OutOfRangeError(
                    "%s: %d bytes do not fit into %d" % (path, size, target._size),
                    hint="pass size= or a larger destination")
            result = size
        elif as_buffer or device_id is not None:
            result = target = (Buffer.allocate_host(size) if device_id is None
                               else Buffer.allocate_device(size, device_id))
        else:
            result, address = _arrays.new_bytes(size)
            target = Buffer._wrap(_arrays.Memory(address, size, False, None, result, -1), False)
        if size:
            with open_storage(path, FILE, offset, size, READ_ONLY) as source:
                moved(source, target)
        return result

    def object(self, name):
        """A file of the store as ``src`` or ``dst`` of a transfer.

        As ``dst`` it is written in place, not replaced at once as ``write`` does it. What it holds
        beyond the new bytes is cut off when the transfer starts; a call that is refused leaves it
        as it was.
        """
        return FileObject(self._path_of(name))

    def delete(self, name):
        """Removes what is stored under ``name``."""
        path = self._path_of(name, follow=False)
        try:
            os.unlink(path)
        except OSError as error:
            raise _from_os(path, error) from None

    def exists(self, name):
        """Whether something is stored under ``name``."""
        try:
            return os.path.isfile(self._path_of(name))
        except _errors.PermissionDeniedError:
            return False

    def size(self, name):
        """How many bytes are stored under ``name``."""
        path = self._path_of(name)
        try:
            return os.stat(path).st_size
        except OSError as error:
            raise _from_os(path, error) from None

    def list(self, prefix=""):
        """The names that start with ``prefix``, sorted.

        Folders that cannot hold such a name are not looked into, nor is the ``lost+found`` of a
        disk that is mounted there, where it cannot be read.

        Raises:
            NotFoundError: The store's directory was removed.
            PermissionDeniedError, LimitError, InputOutputError: A folder cannot be read; what it
                holds is unknown.
        """
        lost_and_found = os.path.join(self.path, "lost+found")

        def refuse(error):
            gone = isinstance(error, FileNotFoundError) and error.filename != self.path
            of_the_disk = isinstance(error, PermissionError) and error.filename == lost_and_found
            if not gone and not of_the_disk:
                raise _from_os(error.filename, error) from None

        names, root = [], os.path.join(self.path, "")
        for folder, folders, files in os.walk(self.path, onerror=refuse):
            base = os.path.join(folder, "")[len(root):]
            folders[:] = [entry for entry in folders if prefix.startswith(base + entry + "/")
                          or (base + entry + "/").startswith(prefix)]
            names += [base + file for file in files
                      if (base + file).startswith(prefix) and not file.endswith(_TEMPORARY)]
        return sorted(names)

    def __repr__(self):
        return "<nixl.FileBackend %s>" % self.path


class FileObject:
    """One file of a store as an end of a transfer. Made by ``FileBackend.object``."""

    __slots__ = ("path",)

    def __init__(self, path):
        self.path = path

    @property
    def size(self):
        """Bytes in the file now."""
        try:
            return os.stat(self.path).st_size
        except OSError as error:
            raise _from_os(self.path, error) from None

    def _nixl_source(self):
        length = self.size
        if not length:  # a range of no bytes means "to the end" to the library
            return Buffer.from_host(b"")
        return open_storage(self.path, FILE, 0, length, READ_ONLY)

    def _nixl_target(self, size, source):
        """Opens it for ``size`` bytes of ``source`` and changes nothing of it yet."""
        if isinstance(source, FileObject) and _is_same(self.path, source.path):
            raise _errors.InvalidArgumentError(
                "%s is source and target of one transfer" % self.path)
        _make_folder(os.path.dirname(self.path))
        while True:
            cut = _Cut(self.path, size)
            buffer = open_storage(self.path, FILE, 0, size, CREATE)
            if cut.is_of(self.path):  # else write() has put another file there between the two
                buffer.before_post = cut
                return buffer

    def _nixl_plan(self, size):
        """A target like this one that can be asked about without touching the file."""
        if os.path.exists(self.path):
            return open_storage(self.path, FILE, 0, size, 0)
        descriptor = os.memfd_create("nixl-plan", os.MFD_CLOEXEC)
        try:
            return open_storage("/proc/self/fd/%d" % descriptor, FILE, 0, size, 0)
        finally:
            os.close(descriptor)

    def __repr__(self):
        return "<nixl.FileObject %s>" % self.path


class _Cut:
    """Cuts off what a file holds beyond its new bytes, when the transfer starts."""

    def __init__(self, path, size):
        self.path, self.size, self.descriptor = path, size, -1
        try:
            self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise _from_os(path, error) from None

    def is_of(self, path):
        try:
            return os.path.samestat(os.fstat(self.descriptor), os.stat(path))
        except FileNotFoundError:
            return False

    def __call__(self):
        try:
            if os.fstat(self.descriptor).st_size > self.size:
                os.ftruncate(self.descriptor, self.size)
        except OSError as error:
            raise _from_os(self.path, error) from None

    def __del__(self):
        if self.descriptor >= 0:
            os.close(self.descriptor)


def _is_same(path, other):
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False  # one of them is not there


def _range_of(path, offset, size):
    """Checks offset and size against the file as it is now."""
    try:
        length = os.stat(path).st_size
        if os.path.isdir(path):
            raise _errors.InvalidArgumentError("%s is a directory" % path)
    except OSError as error:
        raise _from_os(path, error) from None
    if offset < 0 or (size is not None and size < 0):
        raise _errors.InvalidArgumentError("offset and size cannot be negative")
    if size is None:
        size = max(0, length - offset)
    if offset > length or size > length - offset:
        raise _errors.OutOfRangeError(
            "%s has %d bytes; %d at offset %d were asked for" % (path, length, size, offset))
    return offset, size


def _from_os(path, error):
    """Our exception for one of the operating system's."""
    text = "%s: %s" % (path, error.strerror)
    if isinstance(error, FileNotFoundError):
        return _errors.NotFoundError(text, detail=error.errno)
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return _errors.PermissionDeniedError(text, detail=error.errno)
    if error.errno == errno.ENAMETOOLONG:
        return _errors.InvalidArgumentError(text, detail=error.errno)
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return _errors.LimitError(text, detail=error.errno, retryable=True)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _errors.NoSpaceError(text, detail=error.errno)
    return _errors.InputOutputError(text, detail=error.errno or 0)


def _make_folder(folder):
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise _from_os(folder, error) from None


def _new_temporary(folder):
    """Makes an empty file that no other writer has.

    Numbers of processes would not do for that: containers that share the store have the same.
    """
    for attempt in range(1, _NAMES_TRIED + 1):
        # Short, as names may be as long as the system allows.
        path = os.path.join(folder, ".%s%s" % (os.urandom(8).hex(), _TEMPORARY))
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
            return path
        except OSError as error:
            if not isinstance(error, FileExistsError) or attempt == _NAMES_TRIED:
                raise _from_os(path, error) from None


def _remove_quietly(path):
    try:
        os.unlink(path)
    except OSError:
        pass


def _sync_folder(folder):
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:  # it may be written to, but not read
        os.sync()
        return
    except OSError as error:
        raise _from_os(folder, error) from None
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise _from_os(folder, error) from None
    finally:
        os.close(descriptor)
