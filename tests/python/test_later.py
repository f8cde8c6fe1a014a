# SPDX-License-Identifier: Apache-2.0
"""Names whose engines are not part of this version say so, and nothing returns a made-up value."""

import unittest

import nixl
from support import Case


class Later(Case):
    def test_engines_say_what_is_missing(self):
        with self.assertRaises(nixl.NIXLError) as caught:
            nixl.S3Backend(bucket="b", prefix="p/")
        self.assertIn("needs", str(caught.exception))

    def test_distributed_says_what_is_missing(self):
        d = nixl.distributed
        calls = (
            lambda: d.initialize(etcd_endpoints=["127.0.0.1:2379"], node_id="a", cluster_name="c"),
            lambda: d.register_node(gpu_devices=[0], memory_gb=1, storage_paths=["/tmp"]),
            d.list_nodes, lambda: d.wait_for_nodes(count=4, timeout_sec=60),
            lambda: d.elect_leader(ttl_sec=30), lambda: d.put_metadata("k", "v"),
            lambda: d.get_metadata(key="k"), d.barrier, d.serve,
            lambda: d.register_buffer(buffer=None, name="x"),
            lambda: d.get_remote_buffer(node_id="n", buffer_id="x"),
            lambda: d.create_remote_buffer(node_id="n", size=1, name="x"),
            lambda: d.configure(compression="lz4", compression_level=3))
        for call in calls:
            with self.assertRaises(nixl.NIXLError):
                call()

    def test_leaving_a_cluster_that_was_not_joined(self):
        nixl.distributed.finalize()
        self.assertFalse(nixl.distributed.is_initialized())

    def test_s3_settings_are_stored_without_a_network(self):
        """Proves: S-240"""
        nixl.configure_backend(backend="s3", endpoint="https://s3.amazonaws.com", access_key="k",
                               secret_key="s", bucket="nixl-data")

    def test_s3_settings_are_checked(self):
        with self.assertRaisesRegex(nixl.NIXLError, "secret_key"):
            nixl.configure_backend(backend="s3", access_key="k")
        with self.assertRaisesRegex(nixl.NIXLError, "bucket"):
            nixl.configure_backend(backend="s3", buket="k")
        with self.assertRaises(nixl.NIXLError):
            nixl.configure_backend(backend="bogus")


if __name__ == "__main__":
    unittest.main()
