# SPDX-License-Identifier: Apache-2.0
"""nixl-demo, and ./dev demo, which builds before it runs it."""

import os
import re
import shutil
import signal
import subprocess
import time
import unittest

from programs import LIMIT_S, ROOT, ProgramTest, clean_environment, program


class Demo(ProgramTest):
    def demo(self, *arguments, **environment):
        return self.run_in_folder("nixl-demo", *arguments, **environment)

    def make(self, content):
        with open(self.path("input"), "wb") as file:
            file.write(content)
        return self.path("input")

    def test_three_legs_with_path_rate_and_share(self):
        done = self.demo(self.make(os.urandom(3000001)))

        self.assert_runs(done)
        for leg, path in (("file -> host", "posix"), ("host -> host", "memcpy"),
                          ("host -> file", "posix")):
            self.assertRegex(done.out, r"(?m)^%s +%s\S* +\d+\.\d .B/s +\d+\.\d .B/s +\d+ %%  "
                             % (leg, path))
        self.assertIn("All 3000001 bytes of the second file", done.out)
        self.assertRegex(done.out.splitlines()[-1], r"^Done: moved 2\.86 MB from .*verified$")
        self.assertEqual(os.listdir(self.folder), ["input"])

    def test_through_a_gpu_where_there_is_one_and_simulated_is_said(self):
        content = os.urandom(300001)
        done = self.demo(self.make(content), "--window", "64K", "--keep", NIXL_SIM_GPUS="2")

        self.assert_runs(done)
        for leg in ("host -> GPU", "GPU -> host"):
            self.assertRegex(done.out, r"(?m)^%s +cuda, simulated +\d+\.\d .B/s " % leg)
        self.assertNotIn("host -> host", done.out)
        self.assertIn("through a simulated GPU into", done.out.splitlines()[-1])
        with open(re.search(r"(?m)^Second file: (.*)$", done.out).group(1), "rb") as file:
            self.assertEqual(file.read(), content)

    def test_sizes_around_windows_and_pages(self):
        for size in (0, 1, 4095, 4096, 4097, 65536, 65537, 1000000):
            with self.subTest(size=size):
                content = os.urandom(size)
                done = self.demo(self.make(content), "--window", "64K", "--keep")
                self.assert_runs(done)
                second = re.search(r"(?m)^Second file: (.*)$", done.out).group(1)
                with open(second, "rb") as file:
                    self.assertEqual(file.read(), content)
                os.remove(second)

    def test_empty_file_says_that_there_is_nothing_to_move(self):
        done = self.demo(self.make(b""))

        self.assert_runs(done)
        self.assertIn("nothing to move", done.out)
        self.assertRegex(done.out.splitlines()[-1], "^Done: ")

    def test_bytes_that_do_not_arrive_are_an_error(self):
        done = self.demo(self.make(b"x" * 100000), NIXL_DECORATORS="fault:posix",
                         NIXL_FAULT_ERROR_RATE="1")

        self.assertEqual(done.code, 1)
        self.assertTrue(done.err.startswith("nixl-demo: "))
        self.assertEqual(os.listdir(self.folder), ["input"])

    def test_transfers_that_do_nothing_are_found_out(self):
        done = self.demo(self.make(b"x" * 100000), NIXL_NULL_ENABLE="1")

        self.assertEqual(done.code, 1)
        self.assertIn("differs at byte 0", done.err)

    def test_library_that_cannot_open_says_so_before_a_file_is_made(self):
        done = self.demo(self.make(b"x"), NIXL_REQUEST_SLOTS="none", TMPDIR="/nonexistent")

        self.assertEqual(done.code, 1)
        self.assertIn("NIXL_REQUEST_SLOTS", done.err)
        self.assertNotIn("/nonexistent", done.err)

    def test_fifo_is_refused_at_once(self):
        os.mkfifo(self.path("fifo"))

        done = self.demo(self.path("fifo"))  # nobody will ever write into it

        self.assertEqual(done.code, 1)
        self.assertIn("is no regular file", done.err)

    def test_file_of_the_kernel_that_only_looks_empty_is_refused(self):
        done = self.demo("/proc/cpuinfo")

        self.assertEqual(done.code, 1)
        self.assertIn("/proc/cpuinfo says that it has 0 bytes and yet has some", done.err)
        self.assertNotIn("verified", done.out)

    def test_control_c_ends_it_within_a_window(self):
        size = 128 << 20
        with open(self.path("input"), "wb") as file:
            file.truncate(size)
        process = subprocess.Popen(
            [program("nixl-demo"), self.path("input"), "--window", "1GB"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=clean_environment({"TMPDIR": self.folder}))
        deadline = time.monotonic() + LIMIT_S
        # The only window has been begun once half of it was read, and seven turns follow.
        while self.bytes_read(process.pid) < size // 2:
            self.assertLess(time.monotonic(), deadline)
            self.assertIsNone(process.poll())

        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=LIMIT_S)

        self.assertEqual(process.returncode, 130, out + error)
        self.assertEqual(os.listdir(self.folder), ["input"])

    def bytes_read(self, process):
        with open("/proc/%d/io" % process) as file:
            return int(file.readline().split()[1])

    def test_wrong_use_is_named(self):
        for arguments, word in (((self.path("missing"),), "No such file"),
                                ((self.folder,), "regular"), ((), "name a file"),
                                (("--wndow",), "did you mean --window")):
            with self.subTest(arguments=arguments):
                done = self.demo(*arguments)
                self.assertIn(done.code, (1, 2))
                self.assertIn(word, done.err)


class DevDemo(ProgramTest):
    """scripts/demo.sh, in a tree where installing and building only leave a mark."""

    def setUp(self):
        super().setUp()
        for name in ("scripts", "build/tools"):
            os.makedirs(self.path(name))
        shutil.copy(os.path.join(ROOT, "scripts", "demo.sh"), self.path("scripts"))
        for name, text in (("scripts/setup.sh", "touch '%s'" % self.path("set up")),
                           ("scripts/build.sh", "true"),
                           ("build/tools/nixl-demo", 'printf "[%s]" "$@"')):
            with open(self.path(name), "w") as file:
                file.write("#!/bin/sh\n%s\n" % text)
            os.chmod(self.path(name), 0o755)
        with open(self.path("input"), "w") as file:
            file.write("x")

    def dev_demo(self, *arguments):
        return subprocess.run(["bash", self.path("scripts/demo.sh")] + list(arguments),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT_S,
                              stdin=subprocess.DEVNULL, universal_newlines=True)

    def test_wrong_use_is_refused_before_anything_is_built(self):
        os.mkfifo(self.path("fifo"))
        for arguments, code, words in (
            (("--nonsense",), 2, "no option --nonsense"),
            ((self.path("input"), "--wndow", "4K"), 2, "no option --wndow"),
            ((self.path("input"), "--window"), 2, "--window needs a value"),
            ((self.path("input"), self.path("input")), 2, "one argument too many"),
            ((self.path("missing"),), 1, "No such file"),
            ((self.path("fifo"),), 1, "is no regular file"),
            ((self.folder,), 1, "is no regular file"),
        ):
            with self.subTest(arguments=arguments):
                done = self.dev_demo(*arguments)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn(words, done.stderr)
                self.assertFalse(os.path.exists(self.path("set up")))

    def test_options_and_file_reach_the_program_in_any_order(self):
        for arguments in (("--keep", "--window", "4K", "input"), ("input", "--keep", "--window",
                                                                  "4K")):
            arguments = [self.path(a) if a == "input" else a for a in arguments]
            done = self.dev_demo(*arguments)
            self.assertEqual(done.stdout, "[%s][--keep][--window][4K]" % self.path("input"))
            self.assertTrue(os.path.exists(self.path("set up")))

    def test_help_installs_and_builds_nothing(self):
        done = self.dev_demo(self.path("input"), "--help")

        self.assertEqual(done.returncode, 0)
        self.assertTrue(done.stdout.startswith("usage: ./dev demo [FILE]"))
        self.assertFalse(os.path.exists(self.path("set up")))


if __name__ == "__main__":
    unittest.main()
