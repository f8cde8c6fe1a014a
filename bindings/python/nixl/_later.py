# SPDX-License-Identifier: Apache-2.0
"""Names of the interface whose engines are not part of this version. Using one says what is
missing."""

from . import _errors


class MemoryPool:
    """Memory reserved at once, from which buffers are allocated fast.

    Args:
        size: Bytes; by default the setting ``pool_size``.
        device_id: The GPU; None: host memory.
    """

    def __init__(self, size=None, device_id=None, memory_type=None):
        raise _errors.missing("nixl.MemoryPool", "the pool allocator")

    def allocate(self, size):
        """A ``Buffer`` of ``size`` bytes."""
        raise _errors.missing("nixl.MemoryPool.allocate", "the pool allocator")


class Pipeline:
    """Transfers in chunks, ``stages`` of them in flight at a time."""

    def __init__(self, stages=4, chunk_size=None):
        raise _errors.missing("nixl.Pipeline", "the pipeline engine")

    def transfer(self, src, dst):
        """The same as ``nixl.transfer``, in chunks."""
        raise _errors.missing("nixl.Pipeline.transfer", "the pipeline engine")


class Allocator:
    """Base of allocators of one's own: ``allocate(size)`` returns an address, ``free(address)``
    takes it back."""

    memory_type = "host"

    def allocate(self, size):
        """The address of ``size`` bytes, or 0 when there is not enough memory."""
        raise NotImplementedError("an allocator defines allocate(self, size)")

    def free(self, ptr):
        """Takes back what ``allocate`` returned."""
        raise NotImplementedError("an allocator defines free(self, ptr)")


def register_allocator(name, allocator):
    """Makes an allocator selectable with ``nixl.configure(allocator=name)``."""
    if not isinstance(allocator, Allocator):
        raise TypeError("an allocator is a nixl.Allocator, not a %s" % type(allocator).__name__)
    raise _errors.missing("nixl.register_allocator", "the host allocator hook")


class S3Backend:
    """Stores bytes as objects of an S3 bucket.

    Args:
        bucket: Its name; by default that of ``configure_backend``.
        prefix: What every name starts with.
    """

    def __init__(self, bucket=None, prefix=""):
        raise _errors.missing("nixl.S3Backend", "the s3 engine")

    def put_object(self, name, data):
        """Stores bytes under a name."""
        raise _errors.missing("nixl.S3Backend.put_object", "the s3 engine")

    def get_object(self, name):
        """The bytes under a name."""
        raise _errors.missing("nixl.S3Backend.get_object", "the s3 engine")

    def delete_object(self, name):
        """Removes an object."""
        raise _errors.missing("nixl.S3Backend.delete_object", "the s3 engine")

    def list_objects(self, prefix=""):
        """The names that start with a prefix."""
        raise _errors.missing("nixl.S3Backend.list_objects", "the s3 engine")
