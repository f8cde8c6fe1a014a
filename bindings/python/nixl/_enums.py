# SPDX-License-Identifier: Apache-2.0
"""The enumerations."""

import enum


class TransferStatus(enum.Enum):
    """How a transfer stands.

    ``TIMEOUT`` is what ``wait(timeout)`` answers while the transfer goes on, and the end of a
    transfer whose deadline passed.
    """

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"

    def __str__(self):
        return self.name


class Backend(enum.Enum):
    """The preferred engine of remote or storage legs; ``Backend('ucx') is Backend.UCX``."""

    AUTO = "auto"
    UCX = "ucx"
    GDS = "gds"
    S3 = "s3"
    TCP = "tcp"
    SHM = "shm"
    FILE = "file"
    BLOCK = "block"

    def __str__(self):
        return self.value

    @classmethod
    def _missing_(cls, value):
        if isinstance(value, str):
            for member in cls:
                if member.value == value.lower():
                    return member
        raise ValueError(
            "there is no backend %r; known are %s" % (value, ", ".join(m.value for m in cls)))
