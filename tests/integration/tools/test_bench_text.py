# SPDX-License-Identifier: Apache-2.0
"""nixlbench: what it prints for people, and what it accepts."""

import re
import unittest

from programs import ProgramTest

SIX = [
    r"Transfer size: (\d+\.\d\d) (B|KB|MB|GB)",
    r"Iterations: (\d+)",
    r"Avg bandwidth: (\d+\.\d) (KB|MB|GB)/s",
    r"Min latency: (\d+\.\d) (ns|us|ms|s)",
    r"Max latency: (\d+\.\d) (ns|us|ms|s)",
    r"Std dev: (\d+\.\d) (ns|us|ms|s)",
]
SMALL = ("--size", "1MB", "--iterations", "5")


class Text(ProgramTest):
    def six(self, done):
        self.assert_runs(done)
        lines = done.out.splitlines()
        for pattern, line in zip(SIX, lines):
            self.assertRegex(line, "^" + pattern + "$")
        return lines

    def test_six_lines_come_first_and_verbatim(self):
        """Proves: S-176 S-177 S-178 S-179 S-180"""
        lines = self.six(self.bench("--mode", "p2p", "--size", "64MB", "--iterations", "7"))

        self.assertEqual(lines[0], "Transfer size: 64.00 MB")
        self.assertEqual(lines[1], "Iterations: 7")

    def test_line_after_the_six_says_which_ends_were_chosen(self):
        """Proves: C-33"""
        lines = self.six(self.bench(*SMALL))

        self.assertRegex(lines[6], r"^Ends: cpu.* -> (cpu|gpu:0).* \(no ends given; the machine")

    def test_path_baseline_percentiles_verification_and_rating_follow(self):
        """Proves: S-190 C-37"""
        text = self.bench(*SMALL).out

        self.assertRegex(text, r"(?m)^Path: memcpy")
        self.assertRegex(text, r"(?m)^Raw baseline: .* \(memcpy with \d threads?, median of \d+")
        self.assertRegex(text, r"(?m)^Percentiles: p50 .* p90 .* p99 .* p99\.9 ")
        self.assertRegex(text, r"(?m)^Verified: 5 of 5 iterations")
        self.assertRegex(text, r"(?m)^Rating: (excellent|good|poor) \(\d+ % of memcpy")

    def test_quiet_prints_the_six_alone(self):
        done = self.bench("--quiet", *SMALL)

        self.assertEqual(len(self.six(done)), 6)
        self.assertEqual(done.err, "")

    def test_one_iteration_deviates_by_nothing(self):
        """Proves: S-180"""
        lines = self.six(self.bench("--size", "1MB", "--iterations", "1"))

        self.assertEqual(lines[1], "Iterations: 1")
        self.assertEqual(lines[5], "Std dev: 0.0 ns")

    def test_small_and_odd_sizes(self):
        """Proves: S-177 S-179"""
        for size, shown in (("1", "1.00 B"), ("1023", "1023.00 B"), ("4097", "4.00 KB"),
                            ("1.5KB", "1.50 KB"), ("1048575", "1.00 MB"), ("12345677", "11.77 MB")):
            with self.subTest(size=size):
                lines = self.six(self.bench("--size=" + size, "--iterations", "3"))
                self.assertEqual(lines[0], "Transfer size: " + shown)

    def test_units_count_1024_unless_si(self):
        """Proves: C-19"""
        plain = self.six(self.bench("--size", "1MB", "--iterations", "3"))
        binary = self.bench("--size", "1MB", "--iterations", "3", "--output", "json").json()
        decimal = self.bench("--size", "1MB", "--si", "--iterations=3", "--output", "json").json()
        forced = self.bench("--size", "1MiB", "--si", "--iterations=3", "--output", "json").json()

        self.assertEqual(plain[0], "Transfer size: 1.00 MB")
        self.assertEqual(binary["size_bytes"], 1048576)
        self.assertEqual(decimal["size_bytes"], 1000000)
        self.assertEqual(forced["size_bytes"], 1048576)

    def test_default_iterations_fill_the_time(self):
        """Proves: S-176 S-180"""
        done = self.bench("--size", "64KB", "--duration", "300ms", "--output", "json").json()

        spent_ms = done["iterations"] * done["avg_latency_ms"]
        self.assertGreaterEqual(done["iterations"], 3)
        self.assertLess(spent_ms, 300 * 3)

    def test_sweep_prints_a_row_for_each_size(self):
        """Proves: S-179"""
        done = self.bench("--size", "4K..32K,1M", "--iterations", "3")

        self.assert_runs(done)
        rows = [line.split()[0] for line in done.out.splitlines() if re.match(r"\d", line)]
        self.assertEqual(rows, ["4K", "8K", "16K", "32K", "1M"])

    def test_spellings_of_options(self):
        """Proves: S-175"""
        for arguments in (("-size", "1MB"), ("--size=1MB",), ("--SIZE".lower(), "1MB"),
                          ("--size", "1MB", "--src_type", "DRAM", "--dst-type", "DRAM"),
                          ("--size", "1MB", "--si=false"), ("--size", "1MB", "--noquiet")):
            with self.subTest(arguments=arguments):
                self.six(self.bench("--iterations", "2", *arguments))

    def test_slow_path_is_rated_poor_with_a_reason(self):
        """Proves: S-190"""
        done = self.bench("--size", "1MB", "--iterations", "5", NIXL_DECORATORS="limit:memcpy",
                          NIXL_LIMIT_BYTES_PER_SECOND="50MB")

        self.assert_runs(done)
        self.assertRegex(done.out, r"(?m)^Rating: poor \(.*check the path")


class Usage(ProgramTest):
    def test_help_lists_every_option_with_default_and_examples(self):
        """Proves: S-175"""
        done = self.bench("--help", COLUMNS="80")

        self.assert_runs(done)
        for option in ("mode", "size", "iterations", "warmup", "duration", "src-type", "dst-type",
                       "src-device", "dst-device", "src-path", "dst-path", "direct", "backend",
                       "block", "count", "layout", "verify", "output", "si", "quiet", "version"):
            self.assertRegex(done.out, r"(?m)^  --%s\b" % option)
        self.assertIn("[64MB]", done.out)
        self.assertIn("nixlbench --size 4K..64M --output json", done.out)
        self.assertEqual(self.bench("-h").out, self.bench("--help").out)
        self.assertLessEqual(max(map(len, done.out.split("\nExamples")[0].splitlines())), 80)

    def test_version(self):
        done = self.bench("--version")

        self.assertRegex(done.out, r"^nixlbench \d+\.\d+\.\d+\n$")

    def refused(self, pattern, *arguments, **kwargs):
        done = self.bench(*arguments)
        self.assertEqual(done.code, kwargs.get("code", 2), done.err)
        self.assertRegex(done.err, pattern)
        self.assertEqual(done.out, "")

    def test_wrong_values_are_named(self):
        """Proves: S-176 S-178 S-179 S-180"""
        self.refused("bogus.*p2p", "--mode", "bogus")
        self.refused("at least 1", "--iterations", "0")
        self.refused("no whole number", "--iterations", "-3")
        self.refused("moves nothing", "--size", "0")
        self.refused("unknown unit", "--size", "5parsec")
        self.refused("no size", "--size", "")
        self.refused("ends before it starts", "--size", "1M..4K")
        self.refused("more than any machine", "--size", "99999999999999999999")
        self.refused("cpu, cpu-pinned", "--src-type", "tape")
        self.refused("text, json, csv", "--output", "xml")
        self.refused("sampled, full, off", "--verify", "maybe")
        self.refused("no multiple", "--block", "4K", "--size", "5000")
        self.refused("needs a value", "--size")
        self.refused("one argument too many", "stray")
        self.refused("for --src-type file", "--src-type", "cpu", "--src-path", "/tmp/x")
        self.refused("for files", "--direct")

    def test_unknown_option_gets_a_suggestion(self):
        """Proves: S-175"""
        self.refused("did you mean --iterations", "--iteration", "3")
        self.refused("did you mean --size", "--sizes", "3")
        self.refused("--help lists them", "--zzzzzzzzzz")

    def test_modes_of_several_processes_are_named_as_missing(self):
        """Proves: C-34"""
        for mode in ("SG", "mg"):
            self.refused("not part of this build", "--mode", mode, code=5)
        self.assert_runs(self.bench("--mode", "P2P", *SMALL))

    def test_size_beyond_memory_names_the_largest(self):
        """Proves: S-176"""
        done = self.bench("--size", "900TB", "--iterations", "3")

        self.assertEqual(done.code, 1)
        largest = re.search(r"largest size that fits here is .* \((\d+) bytes\)", done.err)
        self.assertGreater(int(largest.group(1)), 0)

    def test_output_that_cannot_be_written_is_an_error(self):
        import subprocess

        from programs import clean_environment, program

        with open("/dev/full", "w") as full:
            done = subprocess.run([program("nixlbench"), "--quiet"] + list(SMALL), stdout=full,
                                  stderr=subprocess.PIPE, env=clean_environment({}))

        self.assertEqual(done.returncode, 1)
        self.assertIn(b"No space left", done.stderr)


class MissingDevices(ProgramTest):
    def setUp(self):
        super().setUp()
        if "gpu" in self.bench("--quiet", *SMALL).out:
            self.skipTest("this machine has a GPU")

    def test_gpu_end_without_a_gpu_is_an_error_that_says_so(self):
        """Proves: S-181 S-182 C-35"""
        for arguments in (("--src-type", "cpu", "--dst-type", "gpu"), ("--src-type", "VRAM"),
                          ("--dst-type", "gpu", "--dst-device", "1")):
            with self.subTest(arguments=arguments):
                done = self.bench("--size", "1MB", *arguments)
                self.assertEqual(done.code, 5)
                self.assertRegex(done.err, r"GPU \d is not present \(0 found\)")

    def test_missing_may_be_skipped(self):
        """Proves: C-35"""
        done = self.bench("--src-type", "gpu", "--size", "1MB", "--output", "json",
                          NIXLBENCH_ON_MISSING="skip")

        self.assert_runs(done)
        self.assertIs(done.json()["skipped"], True)
        self.assertEqual((done.json()["size"], done.json()["bandwidth_gbps"],
                          done.json()["avg_latency_ms"]), ("1MB", 0.0, 0.0))


if __name__ == "__main__":
    unittest.main()
