# SPDX-License-Identifier: Apache-2.0
"""Names of the interface whose engines are not part of this version. Using one says what is
missing."""

from . import _errors


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
