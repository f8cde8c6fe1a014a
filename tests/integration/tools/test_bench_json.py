# SPDX-License-Identifier: Apache-2.0
"""nixlbench: what it prints for programs."""

import csv
import io
import subprocess
import sys
import unittest

import schema
from programs import ProgramTest

READS = """
import json, sys
data = json.load(open(sys.argv[1]))
print(f"{data['size']:<10} {data['bandwidth_gbps']:<15.2f} {data['avg_latency_ms']:<15.2f}")
"""


class Json(ProgramTest):
    def measured(self, *arguments, **environment):
        done = self.bench("--output", "json", *arguments, **environment)
        self.assert_runs(done)
        value = done.json()
        self.assertEqual(schema.problems(value, schema.load()), [])
        return value

    def test_one_object_that_follows_the_schema(self):
        """Proves: S-185 S-186 S-187 S-188 S-189"""
        value = self.measured("--size", "1MB", "--iterations", "12")

        self.assertEqual((value["size"], value["size_bytes"]), ("1MB", 1048576))
        self.assertEqual(value["iterations"], 12)
        self.assertEqual(value["verification"]["verified_iterations"], 12)
        self.assertIs(value["verification"]["ok"], True)
        self.assertEqual(sum(bucket["count"] for bucket in value["histogram"]), 12)
        self.assertIn("--iterations", value["argv"])

    def test_a_wrong_command_line_is_answered_in_the_format_asked_for(self):
        """Proves: S-185"""
        for asked in (["--output=JSON"], ["--output", "Json"]):
            done = self.bench(*(asked + ["--bogus"]))
            self.assertEqual(done.code, 2)
            self.assertIn("bogus", done.json()["error"])

    def test_schema_refuses_what_is_wrong(self):
        """Proves: S-189"""
        value = self.measured("--size", "4K", "--iterations", "3")

        for key, wrong in (("avg_latency_ms", None), ("size_bytes", "4096"), ("rating", "fine"),
                           ("schema_version", 2)):
            self.assertNotEqual(schema.problems(dict(value, **{key: wrong}), schema.load()), [])
        del value["p50_latency_ms"]
        self.assertNotEqual(schema.problems(value, schema.load()), [])

    def test_numbers_agree_with_each_other(self):
        """Proves: S-208 C-20"""
        for size in ("1", "4K", "1MB", "32MB"):
            with self.subTest(size=size):
                value = self.measured("--size", size, "--iterations", "10")
                rate = value["size_bytes"] / (value["avg_latency_ms"] / 1e3) / 1e9
                self.assertLess(abs(rate - value["bandwidth_gbps"]), 0.01 * rate)
                self.assertEqual(value["bandwidth_gbps"], value["bandwidth_gigabytes_per_second"])
                self.assertAlmostEqual(value["bandwidth_gigabits_per_second"],
                                       8 * value["bandwidth_gigabytes_per_second"], 6)
                order = [value[name + "_latency_ms"]
                         for name in ("min", "p50", "p90", "p99", "p999", "max")]
                self.assertEqual(order, sorted(order))

    def test_latencies_below_a_microsecond_are_not_rounded_away(self):
        """Proves: S-188"""
        value = self.measured("--size", "1", "--iterations", "100")

        self.assertGreater(value["min_latency_ms"], 0)
        self.assertGreater(value["avg_latency_ms"], 0)

    def test_script_of_the_guide_can_print_it(self):
        """Proves: S-186 S-187 S-188"""
        done = self.bench("--size", "1MB", "--iterations", "3", "--output", "json")
        with open(self.path("results.json"), "w") as file:
            file.write(done.out)

        printed = subprocess.check_output([sys.executable, "-c", READS, self.path("results.json")])
        self.assertTrue(printed.startswith(b"1MB        "))

    def test_sweep_is_one_object_with_results(self):
        """Proves: S-179 S-185"""
        value = self.measured("--size", "4K..16K", "--iterations", "3")

        self.assertEqual([result["size"] for result in value["results"]], ["4K", "8K", "16K"])
        self.assertEqual([result["size_bytes"] for result in value["results"]],
                         [4096, 8192, 16384])

    def test_elements(self):
        for layout in ("contiguous", "strided", "random"):
            with self.subTest(layout=layout):
                value = self.measured("--block", "4K", "--count", "300", "--layout", layout,
                                      "--iterations", "5", "--verify", "full")
                self.assertEqual((value["elements"], value["element_bytes"], value["layout"]),
                                 (300, 4096, layout))
                self.assertEqual(value["size_bytes"], 300 * 4096)
                self.assertIs(value["verification"]["ok"], True)

    def test_errors_are_an_object_too(self):
        """Proves: S-185"""
        for arguments, code in ((("--size", "0"), 2), (("--mode", "SG"), 5), (("--nonsense",), 2),
                                (("--size", "900TB"), 1), (("--dst-type", "s3"), 5)):
            with self.subTest(arguments=arguments):
                done = self.bench("--output", "json", *arguments)
                self.assertEqual(done.code, code)
                value = done.json()
                self.assertTrue(value["error"])
                self.assertEqual(value["exit_code"], code)
                self.assertEqual(schema.problems(value, schema.load()), [])

    def test_log_lines_stay_off_standard_output(self):
        """Proves: S-185"""
        done = self.bench("--size", "4K", "--iterations", "3", "--output=json",
                          NIXL_LOG_LEVEL="trace", NIXL_DECORATORS="trace:memcpy")

        self.assert_runs(done)
        self.assertEqual(done.json()["iterations"], 3)

    def test_csv_has_a_line_for_each_size(self):
        """Proves: S-185"""
        done = self.bench("--size", "4K,8K", "--iterations", "3", "--output", "csv")

        rows = list(csv.DictReader(io.StringIO(done.out)))
        self.assertEqual([row["size_bytes"] for row in rows], ["4096", "8192"])
        self.assertEqual({row["verified"] for row in rows}, {"yes"})
        self.assertGreater(float(rows[0]["bandwidth_gigabytes_per_second"]), 0)

    def test_backend_that_was_asked_for_and_the_one_that_worked(self):
        """Proves: S-183 C-13 C-14"""
        for name in ("ucx", "UCX", "auto", "posix", "GDS_MT"):
            with self.subTest(name=name):
                value = self.measured("--backend", name, "--src-type", "cpu", "--dst-type", "cpu",
                                      "--size", "64K", "--iterations", "3")
                self.assertEqual((value["backend_requested"], value["backend"]), (name, "memcpy"))
        done = self.bench("--backend", "carrier-pigeon", "--output", "json")
        self.assertEqual(done.code, 1)
        self.assertIn("carrier-pigeon", done.json()["error"])

    def test_storage_backend_takes_a_file_by_itself(self):
        """Proves: S-184"""
        value = self.measured("--backend", "gds", "--size", "1MB", "--iterations", "3")

        self.assertEqual(value["dst"]["type"], "file")
        self.assertEqual((value["backend_requested"], value["backend"]), ("gds", "posix"))
        self.assert_folder_is_empty()


if __name__ == "__main__":
    unittest.main()
