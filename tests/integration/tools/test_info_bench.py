# SPDX-License-Identifier: Apache-2.0
"""nixl-info --bench on simulated GPUs, and contexts that use what it wrote."""

import fcntl
import json
import os
import signal
import struct
import subprocess
import termios
import unittest

from programs import ProgramTest, clean_environment, program

GPUS = {"NIXL_SIM_GPUS": "2"}
FIGURES = 5 + 5 * 6


class InfoBench(ProgramTest):
    def info(self, *arguments, **environment):
        return self.run_in_folder("nixl-info", *arguments, **environment)

    def measured(self, *arguments, **environment):
        done = self.info("--bench", "--seconds", "1", *arguments, **dict(GPUS, **environment))
        self.assert_runs(done)
        return done

    def figures(self, table):
        """{name: value}, the ways' as way.name."""
        found = {}
        for name, value in table["costs"].items():
            if isinstance(value, dict):
                found.update(("%s.%s" % (name, key), number) for key, number in value.items())
            else:
                found[name] = value
        return found

    def engine(self, **environment):
        """Of scattered blocks within a GPU."""
        done = self.bench("--output", "json", "--src-type", "gpu", "--dst-type", "gpu", "--block",
                          "4K", "--count", "500", "--layout", "random", "--iterations", "3",
                          **dict(GPUS, **environment))
        self.assert_runs(done)
        return done.json()["path"]["legs"][0]["engine"]

    def test_table_is_written_and_a_context_reads_it(self):
        """Proves: S-201"""
        path = self.path("new folder/costs.json")

        done = self.measured("--output", path)

        with open(path) as file:
            table = json.load(file)
        self.assertEqual(os.listdir(os.path.dirname(path)), ["costs.json"])
        self.assertEqual(table["gpu"], "Simulated GPU 0")
        self.assertIs(table["simulated"], True)
        self.assertRegex(table["date"], r"^\d{4}-\d\d-\d\d$")
        figures = self.figures(table)
        self.assertEqual(len(figures), FIGURES)
        self.assertTrue(all(value > 0 for value in figures.values()), figures)
        self.assertLessEqual(set(table["kept"]), set(figures))
        # On a busy machine differences of short times can be anything, that of a long one not.
        self.assertNotIn("within_gpu.copy_bytes_per_ns", table["kept"])
        for name in figures:
            self.assertRegex(done.out, r"(?m)^%s +[\d.]+ +([\d.]+ +[\d.]+|- +-  .+)$" % name)
        self.assertIn("simulated", done.out.splitlines()[0])
        self.assertIn("NIXL_CUDA_COST_TABLE=" + path, done.out)
        self.assertEqual(done.err, "")
        used = self.info("--system", NIXL_CUDA_COST_TABLE=path, **GPUS)
        self.assert_runs(used)
        self.assertIn("costs from a file", " ".join(used.out.split()))
        self.assertIn("cuda.cost_table", used.out)
        self.assertEqual(used.err, "")  # it is of this machine
        self.assertNotIn("costs from a file", self.info("--system", **GPUS).out)

    def test_json_is_the_table_alone_and_the_default_place_is_made(self):
        """Proves: S-201"""
        for name, environment in (("nixl", {"XDG_CONFIG_HOME": self.folder}),
                                  (".config/nixl", {"XDG_CONFIG_HOME": "", "HOME": self.folder})):
            with self.subTest(name=name):
                done = self.measured("--json", **environment)
                with open(self.path(name + "/gpu-costs.json")) as file:
                    self.assertEqual(file.read(), done.out)
                self.assertEqual(done.json()["format"], "nixl GPU costs")

    def test_table_changes_what_is_chosen(self):
        path = self.path("costs.json")
        table = self.measured("--output", path, "--json").json()
        self.assertIn("kernel", self.engine())
        table["costs"]["copy_start_ns"] = table["costs"]["within_gpu"]["copy_ns"] = 0.01
        table["costs"]["within_gpu"]["copy_bytes_per_ns"] = 10000
        with open(path, "w") as file:
            json.dump(table, file)

        self.assertEqual(self.engine(NIXL_CUDA_COST_TABLE=path).split(",")[0], "copy engine")

    def test_one_gpu_keeps_what_is_between_two(self):
        done = self.measured("--output", self.path("costs.json"), NIXL_SIM_GPUS="1")

        with open(self.path("costs.json")) as file:
            table = json.load(file)
        between = {name for name in self.figures(table) if name.startswith("gpu_to_gpu")}
        self.assertLessEqual(between, set(table["kept"]))
        self.assertRegex(done.out, r"(?m)^gpu_to_gpu_read.copy_ns +1900 +- +-  there is one GPU$")

    def test_table_that_cannot_be_used_is_an_error_that_names_it(self):
        path = self.path("costs.json")
        table = self.measured("--output", path, "--json").json()
        table["costs"]["gpu_to_host"]["copy_ns"] = 0
        with open(path, "w") as file:
            json.dump(table, file)
        wrong = dict(GPUS, NIXL_CUDA_COST_TABLE=path)

        for done in (self.bench("--size", "1MB", **wrong), self.info("--backends", **wrong)):
            self.assertEqual(done.code, 1)
            self.assertIn(path + ": \"costs.gpu_to_host.copy_ns\" is 0", done.err)
            self.assertIn("nixl-info --bench", done.err)
        self.assertRegex(self.info("--check", **wrong).out, r"(?m)^  FAIL  library ")
        # It is no reason not to measure anew.
        self.measured("--output", path, **wrong)
        self.assert_runs(self.info("--backends", **wrong))
        missing = self.info("--backends", NIXL_CUDA_COST_TABLE=self.path("none"), **GPUS)
        self.assertIn("No such file", missing.err)
        self.assertEqual(missing.code, 1)

    def test_table_of_another_gpu_is_used_and_told_once(self):
        path = self.path("costs.json")
        table = self.measured("--output", path, "--json").json()
        table["gpu"] = "NVIDIA H9000"
        with open(path, "w") as file:
            json.dump(table, file)

        done = self.info("--backends", NIXL_CUDA_COST_TABLE=path, **GPUS)

        self.assert_runs(done)
        self.assertEqual(done.err.count("was measured on NVIDIA H9000"), 1, done.err)
        self.assertIn("costs from a file", " ".join(done.out.split()))

    def test_without_gpu_nothing_is_written(self):
        done = self.info("--bench", "--output", self.path("costs.json"), NIXL_ENABLE_GPU="false")

        self.assertEqual(done.code, 1)
        self.assertIn("no GPU to measure: GPUs are switched off", done.err)
        self.assertEqual(done.out, "")
        self.assert_folder_is_empty()

    def test_wrong_command_lines(self):
        for wrong in (("--seconds", "3"), ("--output", "x"), ("--bench", "--seconds", "0"),
                      ("--bench", "--seconds", "61"), ("--bench", "--seconds", "few"),
                      ("--bench", "--system"), ("--bench", "--check")):
            with self.subTest(wrong=wrong):
                self.assertEqual(self.info(*wrong, **GPUS).code, 2)
        blocked = self.info("--bench", "--seconds", "1", "--output", "/proc/none/costs.json",
                            **GPUS)
        self.assertEqual(blocked.code, 1)
        self.assertIn("/proc/none", blocked.err)

    def test_interrupt_ends_it_and_nothing_is_written(self):
        master, terminal = os.openpty()
        self.addCleanup(os.close, master)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        process = subprocess.Popen(
            [program("nixl-info"), "--bench", "--seconds", "60", "--output", self.path("costs")],
            stdout=subprocess.PIPE, stderr=terminal,
            env=clean_environment(dict(GPUS, TMPDIR=self.folder)))
        os.close(terminal)
        shown = b""
        while b"2 of " not in shown:  # it says how far it is
            shown += os.read(master, 4096)
        process.send_signal(signal.SIGINT)

        out, _ = process.communicate(timeout=60)

        self.assertEqual(process.returncode, 130)
        self.assertEqual(out, b"")
        self.assert_folder_is_empty()


if __name__ == "__main__":
    unittest.main()
