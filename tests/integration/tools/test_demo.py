# SPDX-License-Identifier: Apache-2.0
"""nixl-demo."""

import os
import re
import unittest

from programs import ProgramTest


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

    def test_wrong_use_is_named(self):
        for arguments, word in (((self.path("missing"),), "No such file"),
                                ((self.folder,), "regular"), ((), "name a file"),
                                (("--wndow",), "did you mean --window")):
            with self.subTest(arguments=arguments):
                done = self.demo(*arguments)
                self.assertIn(done.code, (1, 2))
                self.assertIn(word, done.err)


if __name__ == "__main__":
    unittest.main()
