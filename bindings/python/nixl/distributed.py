# SPDX-License-Identifier: Apache-2.0
"""Clusters of nodes. The names are here; the coordination that they need is not part of this
version.

Every function raises ``UnsupportedError`` (a ``NIXLError``), except those that can tell the truth
without a cluster: ``is_initialized`` and ``finalize``.
"""

from . import _errors

__all__ = [
    "initialize", "finalize", "is_initialized", "configure", "register_node", "list_nodes",
    "wait_for_nodes", "elect_leader", "put_metadata", "get_metadata", "delete_metadata",
    "list_metadata", "register_buffer", "get_remote_buffer", "create_remote_buffer", "barrier",
    "serve", "stop",
]

_NEEDS = "the coordination engine"


def initialize(etcd_endpoints=None, node_id=None, cluster_name=None, *, timeout_sec=30,
               tls_config=None):
    """Joins the cluster ``cluster_name`` as ``node_id``."""
    raise _errors.missing("nixl.distributed.initialize", _NEEDS)


def finalize():
    """Leaves the cluster; does nothing when none was joined."""


def is_initialized():
    """Whether a cluster was joined."""
    return False


def configure(*, compression=None, compression_level=None, **settings):
    """Settings of traffic between nodes: ``compression`` is lz4, zstd or none."""
    raise _errors.missing("nixl.distributed.configure", _NEEDS)


def register_node(*, hostname=None, gpu_devices=None, memory_gb=None, storage_paths=None,
                  capabilities=None):
    """Tells the cluster what this node has."""
    raise _errors.missing("nixl.distributed.register_node", _NEEDS)


def list_nodes():
    """The live nodes, this one included; each is a dict with ``node_id``."""
    raise _errors.missing("nixl.distributed.list_nodes", _NEEDS)


def wait_for_nodes(count, timeout_sec=60):
    """Returns when ``count`` nodes are registered."""
    raise _errors.missing("nixl.distributed.wait_for_nodes", _NEEDS)


def elect_leader(ttl_sec=30):
    """The id of the leader, the same one on every node."""
    raise _errors.missing("nixl.distributed.elect_leader", _NEEDS)


def put_metadata(key, value, *, ttl_sec=None, if_absent=False):
    """Stores a value that every node can read."""
    raise _errors.missing("nixl.distributed.put_metadata", _NEEDS)


def get_metadata(key, *, timeout_sec=30, **default):
    """The value of a key; waits for it to appear."""
    raise _errors.missing("nixl.distributed.get_metadata", _NEEDS)


def delete_metadata(key):
    """Removes a key."""
    raise _errors.missing("nixl.distributed.delete_metadata", _NEEDS)


def list_metadata(prefix=""):
    """The keys that start with ``prefix``."""
    raise _errors.missing("nixl.distributed.list_metadata", _NEEDS)


def register_buffer(buffer, name=None, *, buffer_id=None):
    """Makes a buffer of this node readable and writable for others under a name."""
    raise _errors.missing("nixl.distributed.register_buffer", _NEEDS)


def get_remote_buffer(node_id, name=None, *, buffer_id=None, timeout_sec=60):
    """A buffer that another node has registered."""
    raise _errors.missing("nixl.distributed.get_remote_buffer", _NEEDS)


def create_remote_buffer(node_id, size, name=None, *, buffer_id=None, timeout_sec=60):
    """A writable buffer on another node, bound to what that node registers under the name."""
    raise _errors.missing("nixl.distributed.create_remote_buffer", _NEEDS)


def barrier(name=None, *, nodes=None, timeout_sec=300):
    """Returns when all nodes have called it."""
    raise _errors.missing("nixl.distributed.barrier", _NEEDS)


def serve():
    """Keeps this node reachable until it is interrupted."""
    raise _errors.missing("nixl.distributed.serve", _NEEDS)


def stop():
    """Ends ``serve`` in another thread."""
    raise _errors.missing("nixl.distributed.stop", _NEEDS)
