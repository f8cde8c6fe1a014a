# SPDX-License-Identifier: Apache-2.0
"""The specification's programs that are not Python: the benchmark script and the C++ example."""

import glob
import json
import os
import shutil
import tempfile
import unittest

from seed import GPUS, PREFIX, Case, block


class Programs(Case):
    def scratch(self):
        folder = tempfile.TemporaryDirectory(prefix="nixl-seed-")
        self.addCleanup(folder.cleanup)
        return folder.name

    def write(self, name, text):
        path = os.path.join(self.scratch(), name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def count_gpus(self):
        return int(self.run_python("import nixl; print(nixl.get_device_count())", needs="sys"))

    def benchmark_script(self):
        return self.write("benchmark_nixl.sh",
                          block("Example 2: Performance Benchmarking Script", "bash"))

    def test_benchmark_script(self):
        """Proves: S-191 S-244"""
        if self.count_gpus() < 2:
            self.skipTest("the script copies between two GPUs")
        script = self.benchmark_script()
        folder = os.path.dirname(script)
        text = self.run_program(["bash", script], folder=folder)
        lines = text.partition("=== Summary ===\n")[2].splitlines()
        self.assertRegex(lines[0], r"^Transfer Type +Size +Bandwidth +Latency")
        rows = sorted(" ".join(line.split()[:3]) for line in lines[2:-1])
        self.assertEqual(rows, ["cpu → gpu"] * 4 + ["gpu → gpu"] * 4)
        self.assertEqual(lines[-1], "Benchmark complete. Results saved to results_*.json")
        for name in glob.glob(os.path.join(folder, "results_*.json")):
            with open(name, encoding="utf-8") as file:
                self.assertGreater(json.load(file)["bandwidth_gbps"], 0, name)

    @unittest.skipIf(GPUS == "real", "how many GPUs there are is simulated")
    def test_benchmark_script_with_fewer_gpus(self):
        """Proves: S-191 C-35"""
        for gpus, rates in (("1", ["cpu → gpu", "gpu → gpu 0.00"]),
                            ("0", ["cpu → gpu 0.00", "gpu → gpu 0.00"])):
            with self.subTest(gpus=gpus):
                script = self.benchmark_script()
                folder = os.path.dirname(script)
                self.run_program(["bash", script], gpus=gpus, folder=folder, expected_code=5)
                self.assertIn("GPU", self.errors)
                text = self.run_program(["bash", script], gpus=gpus, folder=folder,
                                        more={"NIXLBENCH_ON_MISSING": "skip"})
                rows = set()
                for line in text.partition("=== Summary ===\n")[2].splitlines()[2:-1]:
                    words = line.split()
                    rows.add(" ".join(words[:3] + ["0.00"] * (words[4] == "0.00")))
                self.assertEqual(sorted(rows), rates)

    def test_example_4(self):
        """Proves: S-150 S-151 S-246"""
        compilers = [name for name in ("g++", "clang++", "clang++-14") if shutil.which(name)]
        if not compilers:
            self.skipTest("no C++ compiler")
        source = self.write("nixl_example.cpp", block("Example 4: C++ API Usage", "cpp"))
        libraries = next(os.path.dirname(path) for path in glob.glob(
            os.path.join(PREFIX, "lib*", "**", "libnixl.so"), recursive=True))
        for compiler in compilers:
            with self.subTest(compiler=compiler):
                program = source + "." + compiler
                self.run_program([
                    compiler, "-std=c++17", "-Wall", "-Wextra", "-Werror", "-pedantic", source,
                    "-o", program, "-I" + os.path.join(PREFIX, "include"), "-L" + libraries,
                    "-Wl,-rpath," + libraries, "-lnixl"])
                self.assertEqual(self.run_program([program]),
                                 "Transfer completed successfully\n")


if __name__ == "__main__":
    unittest.main()
