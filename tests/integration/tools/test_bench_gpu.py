# SPDX-License-Identifier: Apache-2.0
"""nixlbench with ends on GPUs, simulated ones."""

import unittest

from programs import ProgramTest

GPUS = {"NIXL_SIM_GPUS": "2"}


class Gpus(ProgramTest):
    def measured(self, *arguments):
        done = self.bench("--output", "json", "--iterations", "4", *arguments, **GPUS)
        self.assert_runs(done)
        value = done.json()
        self.assertIs(value["simulated"], True)
        self.assertIs(value["verification"]["ok"], True, value["verification"])
        self.assertEqual(value["verification"]["verified_iterations"], 4)
        return value

    def test_from_gpu_to_gpu(self):
        value = self.measured("--mode", "p2p", "--src-type", "gpu", "--src-device", "0",
                              "--dst-type", "gpu", "--dst-device", "1", "--size", "1MB")
        self.assertEqual(value["path"]["legs"][0]["engine"], "copy engine")

    def test_scattered_blocks_go_by_kernel(self):
        for layout in ("random", "strided"):
            with self.subTest(layout=layout):
                value = self.measured("--src-type", "gpu", "--dst-type", "gpu", "--block", "4K",
                                      "--count", "500", "--layout", layout, "--verify", "full")
                self.assertIn("gather kernel", value["path"]["legs"][0]["engine"])

    def test_to_and_from_memory_and_files(self):
        for ends in (("cpu-pinned", "gpu"), ("gpu", "cpu-pageable"), ("file", "gpu"),
                     ("gpu", "file")):
            with self.subTest(ends=ends):
                self.measured("--src-type", ends[0], "--dst-type", ends[1], "--size", "300K")

    def test_no_copy_of_the_gpu_is_kept_where_nothing_is_verified(self):
        done = self.bench("--src-type", "gpu", "--dst-type", "gpu", "--size", "1MB",
                          "--iterations", "3", "--verify", "off", **GPUS)
        self.assert_runs(done)
        self.assertIn("Verified: no (--verify off)", done.out)


if __name__ == "__main__":
    unittest.main()
