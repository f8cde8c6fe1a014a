# SPDX-License-Identifier: Apache-2.0
"""What a forked child has of the library, and what it opens for itself."""

import os
import unittest

import nixl
from support import Case, child

# A function that forks, also while another thread holds a lock. A child that hangs is ended.
FORKING = (
    "import nixl, os, signal, sys, threading\n"
    "def move():\n"
    "    target = bytearray(3)\n"
    "    return nixl.transfer(b'abc', target).status.name, bytes(target)\n"
    "def forked(function):\n"
    "    pid = os.fork()\n"
    "    if pid == 0:\n"
    "        signal.alarm(20)\n"
    "        try: print(function(), flush=True)\n"
    "        except BaseException as error: print(repr(error), flush=True)\n"
    "        os._exit(0)\n"
    "    os.waitpid(pid, 0)\n"
    "held, over = threading.Event(), threading.Event()\n"
    "def hold(lock):\n"
    "    with lock: held.set(); over.wait()\n"
    "def forked_beside(lock, function):\n"
    "    threading.Thread(target=hold, args=(lock,)).start(); held.wait()\n"
    "    forked(function); over.set()\n")
# What most children below start from: the library is open, with a buffer of the parent's.
PARENT = FORKING + "a = nixl.Buffer.allocate_host(64); nixl.transfer(b'x' * 64, a)\n"
MOVED = "('SUCCESS', b'abc')\n"


class Fork(Case):
    def test_the_child_gets_a_clear_error_and_ends_well(self):
        """Proves: S-057 S-094"""
        code = (
            "import nixl, os, sys\n"
            "a = nixl.Buffer.allocate_host(64); t = nixl.transfer(b'x' * 64, a)\n"
            "pid = os.fork()\n"
            "if pid == 0:\n"
            "    try:\n"
            "        nixl.transfer(b'y' * 64, a)\n"
            "        print('no error')\n"
            "    except nixl.NIXLError as error:\n"
            "        print('fork' in str(error))\n"
            "    nixl.finalize()\n"
            "    a.free()\n"
            "    sys.exit(0)\n"
            "_, status = os.waitpid(pid, 0)\n"
            "print(status, nixl.transfer(b'y' * 64, a).status, a.tobytes() == b'y' * 64)\n")
        process = child(code)

        self.assertEqual(process.stdout, "True\n0 SUCCESS True\n")
        self.assertEqual(process.stderr, "")

    def test_locks_that_other_threads_held_are_free_in_the_child(self):
        """Proves: S-094"""
        path = os.path.join(self.scratch(), "disk")
        with open(path, "wb") as file:
            file.write(bytes(8192))
        code = (
            PARENT + "disk = nixl.BlockBackend(sys.argv[1])\n"
            "def read():\n"
            "    try: return disk.read_block(0)\n"
            "    except nixl.NIXLError as error: return 'fork' in str(error)\n"
            "forked_beside(disk._lock, read)\n")
        self.assertEqual(child(code, path).stdout, "True\n")

    def test_locks_that_are_held_before_the_library_is_open_are_free_in_the_child(self):
        path = os.path.join(self.scratch(), "empty")
        code = (
            FORKING + "open(sys.argv[1], 'wb').close()\n"
            "disk = nixl.BlockBackend(sys.argv[1])\n"  # has nothing to open yet
            "assert not nixl._runtime.is_open()\n"
            "def write(): return disk.write_block(0, b'x')\n"
            "forked_beside(%s)\n")
        for arguments, output in (("disk._lock, write", "1\n"),
                                  ("nixl._runtime._lock, move", MOVED)):  # that opens it
            with self.subTest(arguments=arguments):
                self.assertEqual(child(code % arguments, path).stdout, output)

    def test_a_child_that_is_forked_during_a_write_keeps_no_file_locked(self):
        path = os.path.join(self.scratch(), "empty")
        open(path, "wb").close()
        code = (
            FORKING + "import fcntl\n"
            "disk, real, (end, other) = nixl.BlockBackend(sys.argv[1]), os.ftruncate, os.pipe()\n"
            "def fork(*arguments):\n"
            "    if os.fork() == 0: os.close(other); os.read(end, 1); os._exit(0)\n"
            "    real(*arguments)\n"
            "os.ftruncate = fork\n"
            "disk.write_block(0, b'x')\n"
            "fcntl.flock(os.open(sys.argv[1], os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
            "os.close(other); os.wait(); print('free')\n")
        self.assertEqual(child(code, path).stdout, "free\n")

    def test_generations_of_children_keep_no_pipe_of_the_log(self):
        code = (
            FORKING + "import logging\n"
            "logging.basicConfig()\n"
            "def pipes():\n"
            "    links = ['/proc/self/fd/' + name for name in os.listdir('/proc/self/fd')]\n"
            "    return sum(os.readlink(link).startswith('pipe:') for link in links\n"
            "               if os.path.exists(link))\n"
            "def live(generations):\n"
            "    nixl.initialize(); print(pipes(), end=' ', flush=True)\n"
            "    if generations: forked(lambda: live(generations - 1))\n"
            "live(4)\n")
        counts = [word for word in child(code).stdout.split() if word.isdigit()]

        self.assertEqual(counts, counts[:1] * 5)

    def test_a_child_with_a_context_of_its_own(self):
        """Proves: S-057 S-087"""
        code = (
            "import nixl, os, sys\n"
            "a = nixl.Buffer.allocate_host(64); t = nixl.transfer(b'x' * 64, a)\n"
            "pid = os.fork()\n"
            "if pid == 0:\n"
            "    nixl.finalize()\n"
            "    size = 1 << 26; target = bytearray(size)\n"
            "    nixl.transfer_async(b'y' * size, target)\n"  # dropped at once
            "    nixl.finalize()\n"  # waits for it
            "    print(target.count(b'y') == size, flush=True)\n"
            "    os._exit(0)\n"
            "print(os.waitpid(pid, 0)[1])\n")
        self.assertEqual(child(code).stdout, "True\n0\n")

    def test_importing_before_a_fork_is_fine(self):
        """Proves: S-147"""
        code = (
            "import nixl, os\n"
            "pid = os.fork()\n"
            "t = bytearray(2); nixl.transfer(b'ok', t)\n"
            "if pid: assert os.waitpid(pid, 0)[1] == 0\n"
            "assert t == b'ok'\n")
        child(code)

    def test_initialize_in_the_child_opens_a_context_of_its_own(self):
        """Proves: S-054 S-057"""
        for arguments in ("", "chunk_size='2MB'"):
            code = PARENT + (
                "def work():\n"
                "    nixl.initialize(%s)\n"
                "    return move()\n"
                "forked(work)\n" % arguments)
            with self.subTest(arguments=arguments):
                self.assertEqual(child(code).stdout, MOVED)

    def test_the_first_use_in_the_child_opens_a_context_of_its_own(self):
        """Proves: S-056 S-057"""
        self.assertEqual(child(PARENT + "forked(move)\n").stdout, MOVED)

    def test_buffers_of_the_parent_name_none_of_the_childs(self):
        """Proves: S-081"""
        code = PARENT + (
            "def work():\n"
            "    mine = nixl.Buffer.from_host(bytearray(b'mine'))\n"  # as the handle of a in here
            "    words = []\n"
            "    for call in (nixl.transfer, nixl.transfer_async, nixl.prepare, nixl.explain,\n"
            "                 lambda mine, a: nixl.transfer(a, mine)):\n"
            "        try: words.append(call(mine, a))\n"
            "        except nixl.UnsupportedError as error: words.append('forked' in str(error))\n"
            "    return words, mine.tobytes()\n"
            "forked(work)\n")
        self.assertEqual(child(code).stdout, "(%s, b'mine')\n" % ([True] * 5))

    def test_finalize_in_the_child_leaves_the_parents_handles_alone(self):
        """Proves: S-057 S-087"""
        held = PARENT + (
            "nixl.finalize()\n"
            "nixl.initialize(decorators='fault:memcpy', **{'fault.hold_rate': '1'})\n"
            "ends = nixl.Buffer.allocate_host(64), nixl.Buffer.allocate_host(64)\n"
            "def called(transfer): print('called', os.getpid() == pid)\n"
            "def work():\n"
            "    nixl.initialize(); before = move()\n"
            "    nixl.finalize(); return before == move()\n"
            "pid = os.getpid(); prepared = nixl.prepare(*ends); t = %s\n"
            "forked(nixl.finalize); forked(work)\n"
            "t.cancel(); t.wait(20)\n")
        # Python 3.12 and later warn of every fork beside other threads.
        quiet = {"NIXL_LOG_LEVEL": "ERROR", "PYTHONWARNINGS": "ignore::DeprecationWarning"}
        for start, output in (
                ("nixl.transfer_async(*ends)", ""),
                ("nixl.transfer_async(*ends, callback=called)", "called True\n"),
                ("prepared.post()", ""),
                ("prepared.post(callback=called)", "called True\n"),
                ("prepared.post(); t.add_done_callback(called)", "called True\n")):
            with self.subTest(start=start):
                process = child(held % start, env=quiet)
                self.assertEqual(process.stdout, "None\nTrue\n" + output)
                self.assertEqual(process.stderr, "")

    def test_workers_of_multiprocessing(self):
        """Proves: S-057 S-098"""
        code = PARENT + (
            "import multiprocessing\n"
            "def work(): nixl.FileBackend(sys.argv[1]).write('a', b'1')\n"
            "worker = multiprocessing.get_context('fork').Process(target=work)\n"
            "worker.start(); worker.join(); print(worker.exitcode)\n")
        folder = self.scratch()
        process = child(code, folder)

        self.assertEqual((process.stdout, process.stderr), ("0\n", ""))
        self.assertEqual(nixl.FileBackend(folder).read("a"), b"1")

    def test_arrays_of_the_parent_do_not_keep_the_childs_context_open(self):
        """Proves: S-057 C-43"""
        code = PARENT + (
            "from nixl import _library\n"
            "view = a._view()\n"
            "def work():\n"
            "    nixl.initialize(); context = nixl._runtime.context(); nixl.finalize()\n"
            "    return _library.functions['memory_trim'](context, None), bytes(view)[:1]\n"
            "forked(work)\n")
        self.assertEqual(child(code).stdout, "(-11, b'x')\n")  # STALE: it was closed


if __name__ == "__main__":
    unittest.main()
