# SPDX-License-Identifier: Apache-2.0
"""FileBackend and BlockBackend."""

import ast
import os
import pathlib
import resource
import shutil
import subprocess
import threading
import unittest
import unittest.mock

import nixl
from support import Case, child, in_threads, needs_numpy, needs_root, numpy, started


class Files(Case):
    def setUp(self):
        self.folder = self.scratch()
        self.store = nixl.FileBackend(os.path.join(self.folder, "store"))

    def test_makes_the_directory(self):
        """Proves: S-097"""
        for path in (
            os.path.join(self.folder, "a/b"),
            self.folder + "/c/",
            pathlib.Path(self.folder) / "d",
        ):
            nixl.FileBackend(path).write("x", b"1")
            self.assertTrue(os.path.isfile(os.path.join(str(path), "x")))

    def test_relative_path_stays_where_it_was(self):
        """Proves: S-097"""
        before = os.getcwd()
        os.chdir(self.folder)
        try:
            store = nixl.FileBackend("rel")
        finally:
            os.chdir(before)
        store.write("x", b"1")

        self.assertTrue(os.path.exists(os.path.join(self.folder, "rel", "x")))

    def test_a_file_in_its_place_is_refused(self):
        """Proves: S-097"""
        path = os.path.join(self.folder, "file")
        with open(path, "w"):
            pass
        with self.assertRaises(nixl.NIXLError):
            nixl.FileBackend(path)

    def test_there_and_back(self):
        """Proves: S-098 S-099 C-25"""
        for data in (b"", b"1", os.urandom(4097), bytearray(b"abc"), os.urandom((1 << 20) + 3)):
            self.assertEqual(self.store.write("model.bin", data), len(data))
            back = self.store.read("model.bin")
            self.assertIs(type(back), bytes)
            self.assertEqual(back, bytes(data))

    def test_buffers_go_in_and_come_out(self):
        """Proves: S-098 C-25"""
        self.store.write("x", nixl.Buffer.from_host(b"abcdef"))
        target = bytearray(6)

        self.assertEqual(self.store.read("x", into=target), 6)
        self.assertEqual(target, b"abcdef")
        self.assertEqual(self.store.read("x", as_buffer=True).tobytes(), b"abcdef")

    def test_parts(self):
        """Proves: S-099 C-25"""
        self.store.write("x", bytes(range(100)))

        self.assertEqual(self.store.read("x", offset=90), bytes(range(90, 100)))
        self.assertEqual(self.store.read("x", offset=10, size=5), bytes(range(10, 15)))
        self.assertEqual(self.store.read("x", offset=100), b"")
        for offset, size in ((101, None), (0, 101), (99, 2), (-1, 1), (0, -1)):
            with self.assertRaises(nixl.NIXLError):
                self.store.read("x", offset=offset, size=size)
        with self.assertRaises(nixl.OutOfRangeError):
            self.store.read("x", into=bytearray(99))

    def test_missing_is_also_a_file_not_found_error(self):
        """Proves: S-099"""
        for call in (lambda: self.store.read("none"), lambda: self.store.delete("none"),
                     lambda: self.store.size("none"),
                     lambda: nixl.transfer(self.store.object("none"), bytearray(1))):
            with self.assertRaises(FileNotFoundError) as caught:
                call()
            self.assertIsInstance(caught.exception, nixl.NIXLError)
            self.assertIn("none", str(caught.exception))

    def test_names_that_leave_the_directory(self):
        """Proves: S-098"""
        for name in ("../x", "/etc/x", "a/../../x", "", "a//b", "a/./b", ".", "..", "a/", "x\0y"):
            with self.subTest(name=name), self.assertRaises(nixl.NIXLError):
                self.store.write(name, b"1")
        self.assertFalse(os.path.exists(os.path.join(self.folder, "x")))

    def test_links_that_leave_the_directory(self):
        """Proves: S-098"""
        os.symlink(self.folder, os.path.join(self.store.path, "out"))
        os.mkdir(os.path.join(self.store.path, "real"))
        os.symlink("real", os.path.join(self.store.path, "in"))
        for call in (self.store.write, self.store.delete, self.store.read):
            with self.assertRaises(nixl.NIXLError):
                call("out/x", *([b"1"] if call == self.store.write else []))
        self.assertEqual(os.listdir(self.folder), ["store"])
        secret = os.path.join(self.folder, "secret")
        with open(secret, "wb") as file:
            file.write(b"secret")
        os.symlink(secret, os.path.join(self.store.path, "link"))
        for call in (self.store.read, self.store.size, self.store.object):
            with self.assertRaises(nixl.PermissionDeniedError):
                call("link")
        self.assertFalse(self.store.exists("link"))
        self.store.write("link", b"1")  # replaces the link
        with open(secret, "rb") as file:
            self.assertEqual(file.read(), b"secret")
        self.store.write("in/x", b"1")
        self.assertEqual(self.store.read("real/x"), b"1")

    def test_long_names(self):
        """Proves: S-098"""
        self.store.write("n" * 255, b"1")
        self.assertEqual(self.store.list(), ["n" * 255])
        for call in (lambda: self.store.write("n" * 256, b"1"),
                     lambda: self.store.write("n" * 256 + "/x", b"1"),
                     lambda: nixl.transfer(b"1", self.store.object("n" * 256))):
            with self.assertRaises(nixl.NIXLError):
                call()

    def test_a_directory_that_may_not_be_read(self):
        """Proves: S-098"""
        if os.geteuid() != 0:
            self.skipTest("needs root to give its rights up")
        os.chmod(self.folder, 0o755)
        os.chmod(self.store.path, 0o333)
        code = ("import nixl, os, sys\n"
                "store = nixl.FileBackend(sys.argv[1]); store.write('x', b'0'); store.read('x')\n"
                "os.setgid(65534); os.setuid(65534)\n"  # who may not even import any more
                "store.write('x', b'1'); print(store.read('x'))\n")
        readable = {"NIXL_PYTHON_HOT": os.environ.get("NIXL_PYTHON_HOT", "")}
        self.assertEqual(child(code, self.store.path, env=readable).stdout, "b'1'\n")

    def test_a_listing_that_cannot_be_made_is_an_error(self):
        self.store.write("a", b"1")
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))  # no further descriptor
        try:
            with self.assertRaises(nixl.LimitError):
                self.store.list()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        self.assertEqual(self.store.list(), ["a"])

    def listed_by_nobody(self, *prefixes):
        """What a user without rights is answered, for each prefix."""
        os.chmod(self.folder, 0o755)
        code = (
            "import nixl, os, sys\n"
            "store = nixl.FileBackend(sys.argv[1])\n"
            "os.setgid(65534); os.setuid(65534)\n"  # who may not even import any more
            "def answer(prefix):\n"
            "    try: return store.list(prefix)\n"
            "    except nixl.PermissionDeniedError: return 'denied'\n"
            "print([answer(prefix) for prefix in sys.argv[2:]])\n")
        return ast.literal_eval(child(code, self.store.path, *prefixes).stdout)

    @needs_root
    def test_a_store_where_a_disk_is_mounted_can_be_listed(self):
        for name in ("a", "b/c", "lost+found/of the disk"):
            self.store.write(name, b"1")
        os.chmod(os.path.join(self.store.path, "lost+found"), 0o700)

        self.assertEqual(self.listed_by_nobody("", "b/"), [["a", "b/c"], ["b/c"]])
        os.makedirs(os.path.join(self.store.path, "b", "lost+found"), 0o700)  # no disk's
        self.assertEqual(self.listed_by_nobody("", "a"), ["denied", ["a"]])

    @needs_root
    def test_folders_that_cannot_hold_the_prefix_are_not_looked_into(self):
        for name in ("a", "ab/c/d", "ab/secret/d", "secret/d"):
            self.store.write(name, b"1")
        for name in ("secret", "ab/secret"):
            os.chmod(os.path.join(self.store.path, name), 0o700)

        self.assertEqual(self.listed_by_nobody("ab/c", "ab/c/", "ab/c/d", "abc", "secrets"),
                         [["ab/c/d"]] * 3 + [[]] * 2)
        self.assertEqual(self.listed_by_nobody("", "a", "ab/", "s", "secret/d"), ["denied"] * 5)

    def test_sub_directories_and_listing(self):
        """Proves: S-098"""
        for name in ("b", "a/b/c", "a/x"):
            self.store.write(name, b"1")

        self.assertEqual(self.store.list(), ["a/b/c", "a/x", "b"])
        self.assertEqual(self.store.list("a/"), ["a/b/c", "a/x"])
        self.store.delete("b")
        self.assertFalse(self.store.exists("b"))
        self.assertTrue(self.store.exists("a/x"))

    def test_a_failed_write_leaves_the_old_content(self):
        """Proves: S-098"""
        self.store.write("x", b"old")
        nixl.finalize()
        self.use_faults("posix", error_rate="1")
        with self.assertRaises(nixl.NIXLError):
            self.store.write("x", b"new content")
        nixl.finalize()

        self.assertEqual(self.store.read("x"), b"old")
        self.assertEqual(os.listdir(self.store.path), ["x"])

    def test_readers_see_old_or_new_while_writers_race(self):
        """Proves: S-098"""
        size, wrong, stop = 200000, [], threading.Event()
        self.store.write("x", b"\0" * size)
        store = nixl.FileBackend(self.store.path, durable=False)

        def write(number):
            while not stop.is_set():
                store.write("x", bytes([number]) * size)

        threads = [threading.Thread(target=write, args=(number,)) for number in (1, 2)]
        for thread in threads:
            thread.start()
        for _ in range(30):
            found = store.read("x")
            if len(set(found)) != 1 or len(found) != size:
                wrong.append(set(found))
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertEqual(os.listdir(store.path), ["x"])

    def test_writers_with_one_process_number_do_not_mix(self):
        """Proves: S-098"""
        # As two containers over one folder: both are process 1 and write for the first time.
        code = (
            "import nixl, os, sys\n"
            "if os.getpid() != 1: os.getpid = lambda: 1\n"  # no name spaces are permitted here
            "real, data = os.replace, sys.argv[2].encode() * 70000\n"
            "def replace(source, target):\n"  # all is written, and the other one starts
            "    print('written', flush=True); sys.stdin.readline(); real(source, target)\n"
            "os.replace = replace\n"
            "nixl.FileBackend(sys.argv[1], durable=False).write(sys.argv[2], data)\n")
        within = ("unshare", "--pid", "--fork")
        if not shutil.which("unshare") or subprocess.call(
                within + ("true",), stderr=subprocess.DEVNULL):
            within = ()
        writers = [started(code, self.store.path, name, within=within) for name in "ab"]
        said = [writer.stdout.readline() for writer in writers]
        left = [writer.communicate("go on\n", timeout=60)[0] for writer in writers]

        self.assertEqual((said, left), (["written\n"] * 2, [""] * 2))
        self.assertEqual([writer.returncode for writer in writers], [0, 0])
        for name in "ab":
            self.assertEqual(self.store.read(name), name.encode() * 70000)
        self.assertEqual(self.store.list(), ["a", "b"])

    def test_a_temporary_name_that_is_taken_is_not_used(self):
        """Proves: S-098"""
        names = [b"\0" * 8, b"\0" * 8, b"\1" * 8]
        taken = os.path.join(self.store.path, ".%s.nixl-tmp" % names[0].hex())
        with open(taken, "wb") as file:
            file.write(b"of another writer")
        with unittest.mock.patch("os.urandom", lambda size: names.pop(0)):
            self.store.write("x", b"1")

        self.assertEqual((names, self.store.read("x"), self.store.list()), ([], b"1", ["x"]))
        with open(taken, "rb") as file:
            self.assertEqual(file.read(), b"of another writer")
        with unittest.mock.patch("os.urandom", bytes):  # the same for ever: it gives up
            with self.assertRaises(nixl.NIXLError):
                self.store.write("x", b"2")
        self.assertEqual(self.store.read("x"), b"1")

    def test_no_permission(self):
        """Proves: S-097 S-098"""
        if os.geteuid() != 0:
            self.skipTest("needs root to give its rights up")
        os.chmod(self.folder, 0o755)
        code = (
            "import nixl, os, sys\n"
            "os.setgid(65534); os.setuid(65534)\n"
            "for call in (lambda: nixl.FileBackend(sys.argv[1] + '/new'),\n"
            "             lambda: nixl.FileBackend(sys.argv[1]).write('x', b'1')):\n"
            "    try: call(); print('no error')\n"
            "    except PermissionError as error: print(isinstance(error, nixl.NIXLError))\n")
        # The simulated driver lies in a folder of root's.
        readable = {"NIXL_PYTHON_HOT": os.environ.get("NIXL_PYTHON_HOT", ""), "NIXL_SIM_GPUS": "0"}
        self.assertEqual(child(code, self.folder, env=readable).stdout, "True\nTrue\n")

    def test_objects_are_ends_of_transfers(self):
        """Proves: S-105 S-073"""
        nixl.transfer(b"hello", self.store.object("a/greeting"))
        self.assertEqual(self.store.read("a/greeting"), b"hello")
        target = bytearray(5)
        handle = nixl.transfer(self.store.object("a/greeting"), target)
        self.assertEqual(target, b"hello")
        self.assertIn("posix", str(handle.path))

        nixl.transfer(b"hi", self.store.object("a/greeting"))
        self.assertEqual(self.store.read("a/greeting"), b"hi")
        nixl.transfer(self.store.object("a/greeting"), self.store.object("copy"))
        self.assertEqual(self.store.read("copy"), b"hi")

    def test_what_moves_nothing_changes_no_file(self):
        """Proves: S-073 S-105"""
        self.store.write("x", b"precious")
        data = nixl.Buffer.from_host(b"new")
        gone = nixl.Buffer.from_host(b"new")
        gone.free()

        self.assertIn("posix", str(nixl.explain(data, self.store.object("x"))))
        self.assertIn("posix", str(nixl.explain(data, self.store.object("a/new"))))
        prepared = nixl.prepare(data, self.store.object("x"))
        for call in (lambda: nixl.transfer(gone, self.store.object("x")),
                     lambda: nixl.transfer(data, self.store.object("x"), path_policy="bogus")):
            with self.assertRaises(nixl.NIXLError):
                call()
        self.assertEqual(self.store.read("x"), b"precious")
        self.assertEqual(self.store.list(), ["x"])

        for content in (b"longer than before", b"n"):  # of another writer, between the posts
            with open(os.path.join(self.store.path, "x"), "wb") as file:
                file.write(content)
            prepared.post().wait()
            self.assertEqual(self.store.read("x"), b"new")

    def test_a_prepared_transfer_keeps_to_the_file_that_it_opened(self):
        """Proves: S-105"""
        self.store.write("x", b"old")
        prepared = nixl.prepare(b"n", self.store.object("x"))
        self.store.write("x", b"another file by now")
        prepared.post().wait()

        self.assertEqual(self.store.read("x"), b"another file by now")

    def test_runs_leave_alone_what_is_beside_them(self):
        """Proves: S-105"""
        self.store.write("x", b"0123456789")
        nixl.prepare(b"abcd", self.store.object("x"), [(1, 1, 2)]).post().wait()

        self.assertEqual(self.store.read("x"), b"0bc3456789")

    def test_an_object_onto_itself_is_refused(self):
        """Proves: S-093 S-105"""
        self.store.write("x", b"precious")
        os.symlink("x", os.path.join(self.store.path, "same"))
        os.link(os.path.join(self.store.path, "x"), os.path.join(self.store.path, "linked"))
        for name in ("x", "same", "linked"):
            with self.assertRaises(nixl.InvalidArgumentError):
                nixl.transfer(self.store.object("x"), self.store.object(name))
        self.assertEqual(self.store.read("x"), b"precious")

    def test_a_disk_that_does_not_answer_stops_no_other_thread(self):
        """Proves: S-086 S-094"""
        code = (
            "import nixl, os, sys, threading\n"
            "store, size = nixl.FileBackend(sys.argv[1]), int(sys.argv[2])\n"
            "store.write('x', bytes(size)); nixl.finalize()\n"
            "nixl.initialize(decorators='fault:posix', **{'fault.hold_rate': '1'})\n"
            "target = bytearray(size)\n"
            "def move(): nixl.transfer(store.object('x'), target)\n"
            "worker = threading.Thread(target=move, daemon=True)\n"
            "worker.start(); worker.join(0.2)\n"
            "print('alive', worker.is_alive(), flush=True); os._exit(0)\n")
        for size in (100, 16384, 1 << 20):
            with self.subTest(size=size):
                process = child(code, self.store.path, str(size), timeout=90)
                self.assertEqual(process.stdout, "alive True\n")

    def test_empty_objects(self):
        """Proves: S-105 S-092"""
        self.store.write("x", b"")
        self.assertEqual(nixl.transfer(self.store.object("x"), bytearray(4)).bytes_done, 0)
        self.store.write("y", b"old")
        for name in ("y", "new"):
            nixl.transfer(b"", self.store.object(name))
            self.assertEqual(self.store.read(name), b"")
        nixl.transfer(self.store.object("y"), self.store.object("x"))
        self.assertEqual(self.store.size("x"), 0)

    @needs_numpy
    def test_arrays(self):
        """Proves: S-098"""
        data = numpy.arange(1000.0)
        self.store.write("x", data)
        back = numpy.empty_like(data)
        self.store.read("x", into=back)
        numpy.testing.assert_array_equal(back, data)

    def test_five_gib_offsets(self):
        """Proves: S-096"""
        path = os.path.join(self.store.path, "sparse")
        with open(path, "wb") as file:
            file.truncate((5 << 30) + 100)
            file.seek(5 << 30)
            file.write(b"end")
        self.assertEqual(self.store.read("sparse", offset=5 << 30, size=3), b"end")
        self.assertEqual(self.store.size("sparse"), (5 << 30) + 100)


class Blocks(Case):
    def setUp(self):
        self.path = os.path.join(self.scratch(), "blocks")
        with open(self.path, "wb") as file:
            file.write(b"\xee" * 65536)

    def content(self):
        with open(self.path, "rb") as file:
            return file.read()

    def test_there_and_back(self):
        """Proves: S-100 S-101 C-26"""
        for size in (1, 511, 4096, 4097, 20000):
            for direct in (False, True):
                with self.subTest(size=size, direct=direct), nixl.BlockBackend(
                        self.path, direct=direct) as device:
                    data = os.urandom(size)
                    self.assertEqual(device.write_block(block_id=2, data=data), size)
                    self.assertEqual(device.read_block(2, size=size), data)

    def test_the_rest_of_a_block_stays(self):
        """Proves: C-26"""
        with nixl.BlockBackend(self.path, direct=True) as device:
            device.write_block(1, b"A" * 5000)
            device.flush()
        expected = bytearray(b"\xee" * 65536)
        expected[4096:9096] = b"A" * 5000

        self.assertEqual(self.content(), bytes(expected))

    def test_reading_one_block_and_into_memory(self):
        """Proves: S-101"""
        device, target = nixl.BlockBackend(self.path, block_size=512), bytearray(1024)
        device.write_block(3, bytes(range(256)) * 4)

        self.assertEqual(device.read_block(3), bytes(range(256)) * 2)
        self.assertEqual(device.read_block(3, into=target), 1024)
        self.assertEqual(target, bytes(range(256)) * 4)

    def test_nothing_ever_makes_a_file_shorter(self):
        """Proves: C-26 S-100"""
        one, other = nixl.BlockBackend(self.path), nixl.BlockBackend(self.path)
        one.write_block(99, b"A" * 4096)
        other.write_block(20, b"B")
        one.write_block(1000, b"")

        self.assertEqual((len(self.content()), one.size, other.size), (409600, 409600, 409600))
        self.assertEqual(other.read_block(99), b"A" * 4096)
        with self.assertRaises(nixl.OutOfRangeError):
            other.read_block(100)

    def test_threads_that_make_it_grow(self):
        """Proves: C-26 S-094"""
        with open(self.path, "wb"):
            pass
        device = nixl.BlockBackend(self.path)

        def work(number):
            for block in range(100):
                device.write_block(number * 100 + block, bytes([number + 1]) * 4096)

        self.assertEqual(in_threads(4, work), [])
        self.assertEqual(self.content(), b"".join(
            bytes([number + 1]) * 409600 for number in range(4)))

    def test_closed(self):
        """Proves: C-26"""
        device = nixl.BlockBackend(self.path)
        device.close()
        for call in (lambda: device.write_block(0, b"1"), lambda: device.read_block(0)):
            with self.assertRaises(nixl.StaleError):
                call()

    def test_a_file_grows_by_whole_blocks(self):
        """Proves: C-26 S-100"""
        with open(self.path, "wb"):
            pass
        device = nixl.BlockBackend(self.path)
        self.assertEqual(device.size, 0)
        device.write_block(42, b"x" * 4097)

        self.assertEqual(os.path.getsize(self.path), 44 * 4096)
        self.assertEqual(device.read_block(43)[:2], b"x\0")
        self.assertEqual(device.read_block(0), bytes(4096))

    def test_one_mib(self):
        """Proves: C-26"""
        device, data = nixl.BlockBackend(self.path), os.urandom(1 << 20)
        device.write_block(10, data)

        self.assertEqual(device.read_block(10, size=1 << 20), data)

    def test_beyond_the_end(self):
        """Proves: S-101"""
        device = nixl.BlockBackend(self.path)
        for block in (16, -1, 1 << 60):
            with self.subTest(block=block), self.assertRaises(nixl.OutOfRangeError):
                device.read_block(block)
        for block in (1.5, "3", None):
            with self.assertRaises(TypeError):
                device.read_block(block)
        with self.assertRaises(nixl.NIXLError):
            device.write_block(1 << 60, b"1")

    def test_what_is_no_device(self):
        """Proves: S-100"""
        with self.assertRaises(FileNotFoundError):
            nixl.BlockBackend("/nonexistent/device")
        for path in (os.path.dirname(self.path), "/dev/null"):
            with self.assertRaises(nixl.NIXLError):
                nixl.BlockBackend(path)
        for size in (0, -1, 1.5):
            with self.assertRaises(nixl.NIXLError):
                nixl.BlockBackend(self.path, block_size=size)

    def test_gds_that_is_not_there_is_told(self):
        """Proves: S-100"""
        if nixl.get_capabilities()["gds"]:
            self.skipTest("GPUDirect Storage is there")
        with self.assertLogs("nixl", "WARNING"):
            device = nixl.BlockBackend(self.path, use_gds=True)
        self.assertFalse(device.gds_active)
        self.assertEqual(device.write_block(block_id=42, data=b"1"), 1)

    def test_a_real_device_is_not_written_without_force(self):
        """Proves: S-101"""
        device = self.loop_device()
        with self.assertRaises(PermissionError):
            nixl.BlockBackend(device).write_block(0, b"x" * 4096)
        self.assertEqual(self.content()[:4096], b"\xee" * 4096)
        self.assertEqual(nixl.BlockBackend(device).read_block(0), b"\xee" * 4096)

        with nixl.BlockBackend(device, force=True) as forced:
            forced.write_block(1, b"y" * 4096)
            forced.flush()
            with self.assertRaises(nixl.OutOfRangeError):
                forced.write_block(16, b"1")
        self.assertEqual(self.content()[4096:8192], b"y" * 4096)

    def test_a_device_with_a_file_system_is_refused(self):
        """Proves: C-27"""
        if shutil.which("mkfs.ext4") is None:
            self.skipTest("needs mkfs.ext4")
        with open(self.path, "wb") as file:
            file.truncate(4 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", self.path], check=True)
        before = self.content()
        device = self.loop_device()
        with self.assertRaises(nixl.PermissionDeniedError) as caught:
            nixl.BlockBackend(device).write_block(block_id=0, data=b"x" * 4096)
        self.assertIn("destroys what it holds", str(caught.exception))
        self.assertIn("force=True", str(caught.exception))
        self.assertEqual(self.content(), before)

        code = "import nixl, sys; nixl.BlockBackend(sys.argv[1]).write_block(3, b'z' * 4096)"
        child(code, device, env={"NIXL_ALLOW_RAW_WRITE": "1"})
        nixl.BlockBackend(self.path).write_block(4, b"z" * 4096)  # regular files are not guarded
        os.sync()
        self.assertEqual(self.content()[3 * 4096:5 * 4096], b"z" * 8192)

    def loop_device(self):
        if os.geteuid() != 0 or shutil.which("losetup") is None:
            self.skipTest("needs root and losetup")
        made = subprocess.run(["losetup", "--find", "--show", self.path], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, universal_newlines=True)
        if made.returncode != 0:
            self.skipTest("no loop device: " + made.stderr.strip())
        device = made.stdout.strip()
        self.addCleanup(subprocess.run, ["losetup", "--detach", device])
        self.addCleanup(nixl.finalize)
        return device


class Example(Case):
    def test_the_specifications_lines_with_paths_of_our_own(self):
        """Proves: S-239"""
        folder, data = self.scratch(), os.urandom(100000)
        device = os.path.join(folder, "device")
        with open(device, "wb"):
            pass
        code = example("### Storage Backend Operations").partition("# Object storage")[0]
        for literal, ours in (("/mnt/data/nixl", folder + "/store"), ("/dev/nvme0n1", device)):
            self.assertEqual(code.count("'%s'" % literal), 1)
            code = code.replace(literal, ours)
        names = {"data": data, "gpu_buffer": nixl.Buffer.from_host(data)}
        exec(compile(code, "the specification", "exec"), names)

        self.assertEqual(names["retrieved_data"], data)
        with open(os.path.join(folder, "store", "model.bin"), "rb") as file:
            self.assertEqual(file.read(), data)
        with open(device, "rb") as file:
            self.assertEqual(file.read()[42 * 4096:][:len(data)], data)


def example(heading):
    """The first block of code below a heading of the specification."""
    import glob
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    named = os.environ.get("NIXL_TEST_SPECIFICATION")
    found = [named] if named else glob.glob(os.path.join(root, "../shared/spec/000_*.txt"))
    if not found:
        raise unittest.SkipTest("the specification's text is not beside this checkout")
    with open(found[0], encoding="utf-8") as file:
        return file.read().partition(heading)[2].partition("```python\n")[2].partition("```")[0]


if __name__ == "__main__":
    unittest.main()
