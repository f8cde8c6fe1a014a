# SPDX-License-Identifier: Apache-2.0
"""nixlbench with ends on GPUs, simulated ones."""

import os
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
        """Proves: S-181 S-182 C-15"""
        value = self.measured("--mode", "p2p", "--src-type", "gpu", "--src-device", "0",
                              "--dst-type", "gpu", "--dst-device", "1", "--size", "1MB")
        self.assertEqual(value["path"]["legs"][0]["engine"], "copy engine")
        self.assertEqual(value["raw"]["name"], "the driver's copy")
        self.assertGreater(value["raw"]["bandwidth_gigabytes_per_second"], 0)

    def test_scattered_blocks_go_by_kernel(self):
        for layout in ("random", "strided"):
            with self.subTest(layout=layout):
                value = self.measured("--src-type", "gpu", "--dst-type", "gpu", "--block", "4K",
                                      "--count", "500", "--layout", layout, "--verify", "full")
                self.assertIn("gather kernel", value["path"]["legs"][0]["engine"])
                self.assertEqual(value["raw"]["name"], "one copy of all bytes by the driver")

    def test_engines_are_compared_in_one_run(self):
        blocks = ("--src-type", "gpu", "--dst-type", "gpu", "--dst-device", "1", "--block", "4K",
                  "--count", "512", "--layout", "random", "--iterations", "3")
        done = self.bench("--output", "json", "--compare", "engine=kernel,copy", "--sm-budget", "4",
                          *blocks, **GPUS)
        self.assert_runs(done)
        found = [(result["compared"], result["variant"],
                  result["path"]["legs"][0]["engine"].split(",")[0])
                 for result in done.json()["results"]]
        self.assertEqual([row[:2] for row in found],
                         [("cuda.engine", "kernel"), ("cuda.engine", "copy")])
        self.assertIn("kernel", found[0][2])
        self.assertIn("copy engine", found[1][2])
        done = self.bench("--compare", "engine=kernel,batch,copy", *blocks, **GPUS)
        self.assert_runs(done)
        self.assertRegex(done.out, r"(?m)^Compared: cuda.engine$")
        self.assertRegex(done.out, r"(?m)^2M kernel .* cuda \(.*kernel.*\)$")
        self.assertRegex(done.out, r"(?m)^2M batch .* cuda \(.*copy engine \(batches\).*\)$")
        self.assertRegex(done.out, r"(?m)^2M copy .* cuda \(.*copy engine.*\)$")

    def test_mapped_copies_are_compared_with_the_copy_engine(self):
        """Proves: S-207"""
        ends = ("--src-type", "cpu-pinned", "--dst-type", "gpu", "--size", "4K", "--iterations",
                "3")
        done = self.bench("--output", "json", "--compare", "gdrcopy=on,off", *ends, **GPUS)
        self.assert_runs(done)
        self.assertEqual([(result["compared"], result["variant"],
                           result["path"]["legs"][0]["engine"])
                          for result in done.json()["results"]],
                         [("enable_gdrcopy", "on", "mapped copy (GDRCopy) (simulated)"),
                          ("enable_gdrcopy", "off", "copy engine")])

    @unittest.skipIf(os.path.exists("/dev/gdrdrv"), "this machine has its device")
    def test_mapped_copies_that_are_missing_are_told_and_nothing_fails(self):
        """Proves: S-207"""
        done = self.bench("--compare", "gdrcopy=on,off", "--size", "4K", "--iterations", "3")
        self.assert_runs(done)
        self.assertIn("/dev/gdrdrv missing", done.err)
        self.assertRegex(done.out, r"(?m)^4K on .* memcpy")

    def test_what_cannot_be_compared(self):
        for wrong, code in (("engine", 2), ("=a", 2), ("engine=", 2), ("engine=copy,,kernel", 2),
                            ("engine=steam", 1), ("nonsense=1,2", 1)):
            with self.subTest(wrong=wrong):
                self.assertEqual(self.bench("--compare", wrong, "--size", "1MB", **GPUS).code, code)
        self.assertEqual(self.bench("--sm-budget", "few", "--size", "1MB", **GPUS).code, 2)

    def test_without_ends_it_goes_from_pinned_memory_to_the_first_gpu(self):
        """Proves: C-33"""
        done = self.bench("--mode", "p2p", "--size", "1MB", "--iterations", "3", **GPUS)
        self.assert_runs(done)
        self.assertRegex(
            done.out, r"(?m)^Ends: cpu.* -> gpu:0.* \(no ends given; the machine has a GPU")

    def test_gpu_that_is_not_there_is_named_with_how_many_there_are(self):
        """Proves: S-182"""
        done = self.bench("--src-type", "gpu", "--src-device", "5", "--dst-type", "cpu", "--size",
                          "1MB", **GPUS)
        self.assertEqual(done.code, 5)
        self.assertIn("GPU 5", done.err)
        self.assertRegex(done.err, r"\b2\b")

    def test_one_gpu_at_both_ends(self):
        """Proves: S-182"""
        self.measured("--src-type", "gpu", "--src-device", "1", "--dst-type", "gpu",
                      "--dst-device", "1", "--size", "1MB")

    def test_simulated_paths_are_shown_beside_their_limit_and_not_rated(self):
        """Proves: C-36 C-37"""
        done = self.bench("--src-type", "cpu-pinned", "--dst-type", "gpu", "--size", "1MB",
                          "--iterations", "3", **GPUS)
        self.assert_runs(done)
        self.assertRegex(done.out, r"(?m)^Raw baseline: .*the driver's copy")
        self.assertRegex(done.out, r"(?m)^Rating: none \(.*simulated")

    def test_to_and_from_memory_and_files(self):
        """Proves: S-181"""
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
