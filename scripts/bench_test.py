# SPDX-License-Identifier: Apache-2.0
"""What a measurement keeps, and the page that is made of it."""
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import bench

sys.path.insert(0, bench.FOLDER)
import results  # noqa: E402

ONE = {"cpu": "X", "cpus": 2, "memory_gib": 24, "kernel": "6.1", "file_system": "ext4"}


class Kept(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        for module in (bench, results):
            patch = mock.patch.object(module, "KEPT", self.folder)
            patch.start()
            self.addCleanup(patch.stop)

    def measure(self, *arguments, rows=(("all", "1"),)):
        """As a program of tests/perf does it; what it printed."""
        with mock.patch.object(results, "GIVEN", type(results.GIVEN)()):
            with contextlib.redirect_stdout(io.StringIO()) as out:
                parser = results.arguments("about")
                parser.add_argument("--only")
                parser.add_argument("--folder")
                parser.parse_args(arguments)
                table = results.Table("files", "about")
                for work, figure in rows:
                    table.row(work, "", figure)
                table.save()
        return out.getvalue()

    def kept(self):
        with open(os.path.join(self.folder, "files.json")) as file:
            return json.load(file)

    def keep(self, subject, **more):
        kept = dict({"subject": subject, "about": "about", "rows": [], "date": "2026-01-02"},
                    **more)
        with open(os.path.join(self.folder, subject + ".json"), "w") as file:
            json.dump(kept, file)

    def test_run_keeps_the_machine_and_the_date_of_its_measurement(self):
        self.measure("--folder", "/proc")

        self.assertRegex(self.kept()["date"], r"^\d{4}-\d\d-\d\d$")
        machine = self.kept()["machine"]
        self.assertEqual(machine["kernel"], os.uname().release)
        self.assertEqual(machine["cpus"], os.cpu_count())
        self.assertEqual(machine["file_system"], "proc")  # where --folder says, not $TMPDIR

    def test_partial_run_replaces_its_rows_in_the_whole_one_and_the_page_says_so(self):
        self.measure(rows=(("read", "1"), ("write", "2")))

        self.measure("--only", "read", rows=(("read", "3"),))

        self.assertEqual([(row["work"], row["figure"]) for row in self.kept()["rows"]],
                         [("read", "3"), ("write", "2")])
        self.assertRegex(bench.page("Title", bench.last_results()),
                         r": about; read again on \d{4}-\d\d-\d\d\.")

    def test_partial_run_without_a_whole_one_of_its_sort_is_not_kept_and_says_so(self):
        said = self.measure("--only", "read")
        self.assertIn("not kept", said)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "files.json")))

        self.keep("files", about="shorter", machine=results.machine())
        self.assertIn("not kept", self.measure("--only", "read"))
        self.measure()
        self.assertIn("not kept", self.measure("--only", "read", rows=(("other", "1"),)))
        self.assertEqual([row["work"] for row in self.kept()["rows"]], ["all"])

    def test_page_names_the_machine_that_measured_once_where_it_is_the_same(self):
        self.keep("copies", machine=ONE)
        self.keep("files", machine=ONE)

        page = bench.page("Title", bench.last_results())

        self.assertEqual(page.count("Machine: X, 2 CPUs, 24 GiB, Linux 6.1, ext4.\n"), 1)
        self.assertLess(page.index("Machine: "), page.index("## Copies"))

    def test_page_names_the_machine_of_each_subject_where_they_differ(self):
        self.keep("copies", machine=ONE)
        self.keep("files", machine=dict(ONE, file_system="tmpfs"))
        self.keep("hot")  # of a version that did not note it

        page = bench.page("Title", bench.last_results())

        self.assertIn("2026-01-02: about.\n\nMachine: X, 2 CPUs, 24 GiB, Linux 6.1, ext4.\n", page)
        self.assertIn("Linux 6.1, tmpfs.\n", page)
        self.assertIn("Machine: not noted; measure again.\n", page)
        self.assertEqual(page.count("Machine: "), 3)

    def test_each_sort_of_gpu_has_a_page_of_its_own(self):
        self.keep("copies", machine=ONE)
        for gpu in ("NVIDIA H200", "NVIDIA H100 80GB HBM3", "Simulated GPU 0"):
            with mock.patch.object(results, "GIVEN", type(results.GIVEN)()):
                with contextlib.redirect_stdout(io.StringIO()):
                    results.Table("gpu_copies", "about " + gpu, gpu).save()
        with tempfile.TemporaryDirectory() as pages:
            with mock.patch.object(bench, "PAGES", pages):
                with contextlib.redirect_stdout(io.StringIO()):
                    bench.write_pages()
            self.assertEqual(sorted(os.listdir(pages)),
                             ["h100.md", "h200.md", "host.md", "simulated.md"])
            with open(os.path.join(pages, "h200.md")) as file:
                text = file.read()
        self.assertTrue(text.startswith("# Performance on NVIDIA H200\n"))
        self.assertIn("about NVIDIA H200", text)
        self.assertNotIn("H100", text)

    def test_page_of_nothing_names_no_machine(self):
        self.assertNotIn("Machine", bench.page("Title", bench.last_results()))


class FileSystem(unittest.TestCase):
    def test_it_is_the_one_that_findmnt_names(self):
        for path in ("/", "/proc/self", "/dev/shm", tempfile.gettempdir()):
            with self.subTest(path=path):
                try:
                    found = subprocess.run(["findmnt", "-no", "FSTYPE", "-T", path],
                                           stdout=subprocess.PIPE, universal_newlines=True)
                except FileNotFoundError:
                    self.skipTest("no findmnt")
                # None of the mounts that a chroot sees may hold it.
                named = (found.stdout.split() or ["unknown"])[-1]
                self.assertEqual(results.file_system(path), named)


if __name__ == "__main__":
    unittest.main()
