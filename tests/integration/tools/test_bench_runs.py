# SPDX-License-Identifier: Apache-2.0
"""nixlbench: files, wrong bytes, interruption, failure."""

import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import termios
import time
import unittest

from programs import LIMIT_S, ROOT, ProgramTest, clean_environment, program

HERE = os.path.dirname(os.path.abspath(__file__))


class Files(ProgramTest):
    def measured(self, *arguments):
        done = self.bench("--output", "json", *arguments)
        self.assert_runs(done)
        value = done.json()
        self.assertIs(value["verification"]["ok"], True, value["verification"])
        return value

    def test_ends_that_are_one_file_are_refused(self):
        target = self.path("same")
        for made in (False, True):
            if made:
                with open(target, "wb") as file:
                    file.write(bytes(65536))
            done = self.bench("--src-type", "file", "--dst-type", "file", "--src-path", target,
                              "--dst-path", os.path.join(self.path("."), "same"), "--size", "64K",
                              "--overwrite")
            self.assertEqual(done.code, 1)
            self.assertIn("the same file", done.err)
            self.assertEqual(os.path.exists(target), made)

    def test_a_link_to_nothing_is_refused(self):
        link, aim = self.path("link"), self.path("aim")
        os.symlink(aim, link)
        done = self.bench("--src-type", "cpu", "--dst-type", "file", "--dst-path", link, "--size",
                          "4K,8K")
        self.assertEqual(done.code, 1)
        self.assertIn("symbolic link", done.err)
        self.assertFalse(os.path.exists(aim))

    def test_paths_that_lead_nowhere_are_not_called_one_file(self):
        loops = self.path("loop"), self.path("other loop")
        for loop in loops:
            os.symlink(os.path.basename(loop), loop)
        made = self.path("source")
        with open(made, "wb") as file:
            file.write(bytes(65536))
        long_names = self.path("a" * 300), self.path("b" * 300)
        for source, target, words in (
                loops + ("--dst-path %s: Too many levels of symbolic links; name" % loops[1],),
                (made, loops[1], "--dst-path %s: Too many levels of symbolic links; name"
                 % loops[1]),
                long_names + ("--dst-path %s: File name too long" % long_names[1],)):
            with self.subTest(words=words):
                done = self.bench("--src-type", "file", "--dst-type", "file", "--src-path", source,
                                  "--dst-path", target, "--size", "64K")
                self.assertEqual(done.code, 1)
                self.assertIn(words, done.err)

    def test_temporary_files_at_either_end_are_verified_and_removed(self):
        """Proves: S-181"""
        for source, target in (("cpu", "file"), ("file", "cpu"), ("cpu-pinned", "FILE"),
                               ("file", "file")):
            for size in ("1", "4097", "3MB"):
                with self.subTest(source=source, target=target, size=size):
                    value = self.measured("--src-type", source, "--dst-type", target,
                                          "--size", size, "--iterations", "4")
                    self.assertIn("posix", value["backend"])
                    self.assertEqual(value["flush_ms"] > 0, target.lower() == "file")
                    self.assert_folder_is_empty()

    def test_direct_files_with_sizes_that_are_no_pages(self):
        for size in ("4096", "1000003", "2MB"):
            for ends in (("cpu", "file"), ("file", "cpu")):
                with self.subTest(size=size, ends=ends):
                    value = self.measured("--src-type", ends[0], "--dst-type", ends[1], "--direct",
                                          "--size", size, "--iterations", "3", "--verify", "full")
                    self.assertTrue(value["src"]["direct"] or value["dst"]["direct"])

    def test_scattered_elements_of_a_file(self):
        for layout in ("strided", "random"):
            self.measured("--src-type", "file", "--dst-type", "cpu", "--block", "4K", "--size",
                          "1MB", "--layout", layout, "--iterations", "3", "--verify", "full")
            self.measured("--dst-type", "file", "--block", "5000", "--count", "77", "--layout",
                          layout, "--iterations", "3", "--verify", "full")

    def test_given_source_is_only_read(self):
        """Proves: S-181"""
        content = os.urandom(300000)
        with open(self.path("input"), "wb") as file:
            file.write(content)
        os.chmod(self.path("input"), 0o444)

        self.measured("--src-path", self.path("input"), "--size", "300000", "--iterations", "3",
                      "--verify", "full")

        with open(self.path("input"), "rb") as file:
            self.assertEqual(file.read(), content)

    def test_given_source_that_is_too_short_is_refused(self):
        with open(self.path("input"), "wb") as file:
            file.write(b"x" * 100)

        done = self.bench("--src-path", self.path("input"), "--size", "101")

        self.assertEqual(done.code, 1)
        self.assertIn("less than", done.err)

    def test_existing_target_is_kept_unless_told_otherwise(self):
        with open(self.path("precious"), "wb") as file:
            file.write(b"precious")
        arguments = ("--dst-path", self.path("precious"), "--size", "64K", "--iterations", "3")

        done = self.bench(*arguments)

        self.assertEqual(done.code, 1)
        self.assertIn("--overwrite", done.err)
        with open(self.path("precious"), "rb") as file:
            self.assertEqual(file.read(), b"precious")
        self.assert_runs(self.bench("--overwrite", *arguments))
        self.assertEqual(os.path.getsize(self.path("precious")), 65536)

    def test_target_that_a_run_makes_stays_and_serves_all_sizes_of_a_sweep(self):
        target = self.path("new")

        self.assert_runs(self.bench("--dst-path", target, "--size", "4K,64K", "--iterations", "3"))

        self.assertEqual(os.path.getsize(target), 65536)
        done = self.bench("--dst-path", target, "--size", "4K", "--iterations", "3")
        self.assertEqual(done.code, 1)
        self.assertIn("--overwrite", done.err)
        self.assertTrue(os.path.exists(target))

    def test_target_larger_than_the_disk_is_refused_and_not_left_behind(self):
        source, target = self.path("sparse"), self.path("new")
        disk = os.statvfs(self.folder)
        size = disk.f_bavail * disk.f_frsize + (1 << 30)
        with open(source, "wb") as file:
            file.truncate(size)
        arguments = ("--src-path", source, "--dst-path", target, "--size", str(size))

        done = self.bench(*arguments)

        self.assertEqual(done.code, 1)
        self.assertIn("does not fit into " + self.folder, done.err)
        self.assertRegex(done.err, "the most that fits is [0-9.]+ .B; --dst-path names")
        self.assertEqual(os.listdir(self.folder), ["sparse"])
        with open(target, "wb"):
            pass  # one that is there grows by as much, and is not this run's to take away
        self.assertIn("does not fit", self.bench(*arguments).err)
        self.assertTrue(os.path.exists(target))

    def test_target_that_a_failed_run_made_is_removed_and_only_that(self):
        for name, made in (("new", True), ("empty", False)):
            with self.subTest(name=name):
                target = self.path(name)
                if not made:
                    with open(target, "wb"):
                        pass

                done = self.bench("--dst-path", target, "--size", "64K,1MB", "--iterations", "3",
                                  "--overwrite", NIXL_DECORATORS="fault:posix",
                                  NIXL_FAULT_ERROR_RATE="1")

                self.assertEqual(done.code, 1, done.out + done.err)
                self.assertEqual(os.path.exists(target), not made)

    def test_target_with_wrong_bytes_is_not_left_behind(self):
        done = self.bench("--dst-path", self.path("new"), "--size", "64K", "--iterations", "3",
                          NIXL_NULL_ENABLE="1")

        self.assertEqual(done.code, 4, done.out + done.err)
        self.assert_folder_is_empty()

    def test_file_larger_than_the_disk_names_the_most_that_fits(self):
        done = self.bench("--src-type", "file", "--dst-type", "file", "--size", "900TB")

        self.assertEqual(done.code, 1)
        self.assertRegex(done.err, "the most that fits is [0-9.]+ GB")
        self.assert_folder_is_empty()

    def test_missing_file_and_folder_are_named(self):
        done = self.bench("--src-path", "/nonexistent/file", "--size", "4K")
        self.assertEqual(done.code, 1)
        self.assertIn("--src-path /nonexistent/file: No such file", done.err)

        done = self.bench("--dst-path", "/nonexistent/file", "--size", "4K")
        self.assertEqual(done.code, 1)
        self.assertIn("--dst-path /nonexistent/file: No such file", done.err)

        done = self.bench("--dst-type", "file", "--size", "4K", TMPDIR="/nonexistent")
        self.assertEqual(done.code, 1)
        self.assertIn("/nonexistent", done.err)


    def test_advice_is_what_the_tools_user_can_do(self):
        for option in ("--src-path", "--dst-path"):
            done = self.bench(option, self.path("missing/file"), "--size", "4K")

            self.assertEqual(done.code, 1)
            self.assertNotIn("NIXL_BUFFER", done.err)

    def test_what_is_no_file_is_named(self):
        os.mkfifo(self.path("fifo"))
        for option in ("--src-path", "--dst-path"):
            done = self.bench(option, self.path("fifo"), "--size", "4K")

            self.assertEqual(done.code, 1)
            self.assertIn("neither a file nor", done.err)


class WrongBytes(ProgramTest):
    def test_backend_that_moves_nothing_is_found_out(self):
        done = self.bench("--size", "64K", "--iterations", "3", "--output", "json",
                          NIXL_NULL_ENABLE="1")

        self.assertEqual(done.code, 4, done.out + done.err)
        self.assertIn("wrong bytes arrived", done.json()["error"])
        self.assertIs(done.json()["verification"]["ok"], False)
        self.assert_runs(self.bench("--size", "64K", "--iterations", "3", "--verify", "off",
                                    NIXL_NULL_ENABLE="1"))

    def test_one_flipped_byte_is_found_wherever_it_happens(self):
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            self.skipTest("no C compiler")
        with open(program("nixlbench"), "rb") as file:
            if b"__asan_init" in file.read():
                self.skipTest("AddressSanitizer wants to be loaded first")
        library = self.path("corrupt.so")
        subprocess.check_call([compiler, "-shared", "-fPIC", "-I", os.path.join(ROOT, "include"),
                               os.path.join(HERE, "corrupt.c"), "-o", library, "-ldl"])
        # Post 1 checks all, 2 and 3 warm up, 4 to 13 are timed, 14 checks all.
        for post, verify in ((1, "sampled"), (6, "sampled"), (6, "full"), (14, "sampled")):
            with self.subTest(post=post, verify=verify):
                done = self.bench("--size", "1MB", "--iterations", "10", "--verify", verify,
                                  LD_PRELOAD=library, CORRUPT_POST=str(post))
                self.assertEqual(done.code, 4, done.out + done.err)
                self.assertIn("byte 1048575", done.err)
        self.assert_runs(self.bench("--size", "1MB", "--iterations", "10", LD_PRELOAD=library,
                                    CORRUPT_POST="15"))

    def test_transfer_that_fails_is_told_in_the_librarys_words(self):
        done = self.bench("--size", "64K", "--iterations", "3", "--output", "json",
                          NIXL_DECORATORS="fault:memcpy", NIXL_FAULT_ERROR_RATE="1")

        self.assertEqual(done.code, 1)
        self.assertTrue(done.json()["error"])


class Interruption(ProgramTest):
    def start(self, *arguments, **kwargs):
        return subprocess.Popen([program("nixlbench")] + list(arguments), stdout=subprocess.PIPE,
                                env=clean_environment({"TMPDIR": self.folder}), **kwargs)

    def wait_until_it_measures(self, descriptor):
        """Its progress line shows once iterations have ended."""
        seen, deadline = b"", time.monotonic() + LIMIT_S
        while b"p50" not in seen:
            self.assertLess(time.monotonic(), deadline, "no progress line came: %r" % seen)
            if select.select([descriptor], [], [], 1)[0]:
                seen += os.read(descriptor, 4096)
        return seen

    def test_control_c_prints_the_partial_result(self):
        """Proves: S-176"""
        terminal, child_end = pty.openpty()
        self.addCleanup(os.close, terminal)
        fcntl.ioctl(child_end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        process = self.start("--dst-type", "file", "--size", "1MB", "--duration", "10m",
                             stderr=child_end)
        os.close(child_end)
        self.wait_until_it_measures(terminal)

        process.send_signal(signal.SIGINT)
        text = process.communicate(timeout=LIMIT_S)[0].decode()

        self.assertEqual(process.returncode, 130)
        self.assertRegex(text, r"(?m)^Iterations: [1-9]\d*$")
        self.assertIn("Interrupted: this is the partial result", text)
        self.assert_folder_is_empty()

    def test_control_c_while_memory_is_filled_and_checked(self):
        """Proves: S-176"""
        process = self.start("--size", "1GB", "--iterations", "100000", "--output", "json")
        status = "/proc/%d/status" % process.pid
        deadline = time.monotonic() + LIMIT_S
        while self.signals_caught(status) & 1 << signal.SIGINT - 1 == 0:
            self.assertLess(time.monotonic(), deadline)
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=LIMIT_S)

        self.assertEqual(process.returncode, 130)
        self.assertLess(time.monotonic() - begin, 10)

    def test_control_c_leaves_no_target_that_the_run_made(self):
        terminal, child_end = pty.openpty()
        self.addCleanup(os.close, terminal)
        process = self.start("--dst-path", self.path("new"), "--size", "1MB", "--duration", "10m",
                             stderr=child_end)
        os.close(child_end)
        self.wait_until_it_measures(terminal)

        process.send_signal(signal.SIGINT)
        process.communicate(timeout=LIMIT_S)

        self.assertEqual(process.returncode, 130)
        self.assert_folder_is_empty()

    def signals_caught(self, path):
        with open(path) as file:
            line = [line for line in file if line.startswith("SigCgt")]
        return int(line[0].split()[1], 16)

    def test_killed_run_leaves_no_file(self):
        terminal, child_end = pty.openpty()
        self.addCleanup(os.close, terminal)
        process = self.start("--dst-type", "file", "--size", "1MB", "--duration", "10m",
                             stderr=child_end)
        os.close(child_end)
        self.wait_until_it_measures(terminal)

        process.kill()
        process.communicate(timeout=LIMIT_S)

        self.assert_folder_is_empty()

    def test_progress_shows_on_a_terminal_only(self):
        """Proves: S-185"""
        done = self.bench("--size", "1MB", "--duration", "300ms")

        self.assertEqual(done.err, "")


if __name__ == "__main__":
    unittest.main()
