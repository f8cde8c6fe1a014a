# SPDX-License-Identifier: Apache-2.0
"""Importing the package: what it says of itself, and what it does not do."""

import ast
import os
import re
import unittest

import nixl
from support import Case, child

PACKAGE = os.path.dirname(nixl.__file__)


class Import(Case):
    def test_version_is_the_librarys_and_printed_alone(self):
        """Proves: S-003 S-004"""
        process = child("import nixl; print(nixl.__version__)")

        self.assertRegex(process.stdout, r"^0\.1\.\d+\S*\n$")
        self.assertEqual(process.stderr, "")
        self.assertEqual(process.stdout.strip(), nixl.__version__)

    def test_what_is_installed_has_the_same_version(self):
        """Proves: S-003"""
        import importlib.metadata
        try:
            version = importlib.metadata.version("nixl")
        except importlib.metadata.PackageNotFoundError:
            self.skipTest("the package is not installed")
        self.assertEqual(version, nixl.__version__)

    def test_another_system_is_refused_in_one_sentence(self):
        """Proves: S-017"""
        process = child("import sys; sys.platform = 'darwin'; import nixl", check=False)

        self.assertNotEqual(process.returncode, 0)
        last = process.stderr.strip().split("\n")[-1]
        self.assertEqual(last, "ImportError: nixl runs on Linux only, not on darwin")

    def test_needs_no_numpy_torch_asyncio_and_starts_no_thread(self):
        """Proves: S-004"""
        code = (
            "import sys, os\n"
            "for name in ('numpy', 'torch'): sys.modules[name] = None\n"
            "import nixl\n"
            "assert 'asyncio' not in sys.modules\n"
            "assert len(os.listdir('/proc/self/task')) == 1\n"
            "assert nixl.transfer(b'abc', t := nixl.Buffer.allocate_host(3))\n"
            "assert t.tobytes() == b'abc'")
        child(code)

    def test_costs_at_most_200_ms(self):
        """Proves: S-004"""
        code = "import time; a = time.process_time(); import nixl; print(time.process_time() - a)"
        best = min(float(child(code).stdout) for _ in range(5))

        self.assertLess(best, 0.2)

    def test_missing_library_names_the_places_tried(self):
        """Proves: S-004"""
        process = child("import nixl", env={"NIXL_LIBRARY": "/nonexistent/libnixl.so"}, check=False)

        self.assertNotEqual(process.returncode, 0)
        self.assertIn("ImportError", process.stderr)
        self.assertIn("/nonexistent/libnixl.so", process.stderr)
        self.assertIn("NIXL_LIBRARY", process.stderr)

    def test_submodules_are_attributes(self):
        """Proves: S-072"""
        from nixl import distributed, telemetry

        self.assertIs(nixl.distributed, distributed)
        self.assertIs(nixl.telemetry, telemetry)

    def test_runs_on_python_3_8(self):
        """Proves: S-013"""
        for name in os.listdir(PACKAGE):
            if name.endswith((".py", ".pyi")):
                with open(os.path.join(PACKAGE, name)) as file:
                    ast.parse(file.read(), name, feature_version=(3, 8))


class Names(Case):
    SPECIFIED = (
        "__version__ initialize finalize transfer transfer_async configure configure_backend "
        "register_allocator gc get_capabilities get_device_count get_total_memory get_free_memory "
        "get_audit_log Buffer MemoryPool Pipeline Allocator Backend FileBackend BlockBackend "
        "S3Backend TransferStatus NIXLError telemetry distributed").split()
    OF_DISTRIBUTED = (
        "initialize finalize configure register_node list_nodes wait_for_nodes elect_leader "
        "put_metadata get_metadata register_buffer get_remote_buffer create_remote_buffer barrier "
        "serve").split()

    def test_every_specified_name_exists_with_a_docstring(self):
        """Proves: S-072"""
        for module, names in ((nixl, self.SPECIFIED), (nixl.distributed, self.OF_DISTRIBUTED)):
            for name in names:
                with self.subTest(name=name):
                    thing = getattr(module, name)
                    self.assertTrue(isinstance(thing, str) or thing.__doc__)

    def test_every_public_name_has_a_docstring(self):
        """Proves: S-072"""
        for name in nixl.__all__:
            thing = getattr(nixl, name)
            for member, value in vars(thing).items() if isinstance(thing, type) else ():
                if not member.startswith("_") and callable(getattr(thing, member)):
                    with self.subTest(name="%s.%s" % (name, member)):
                        self.assertTrue(getattr(value, "__doc__", None))

    def test_stubs_hold_the_same_names(self):
        """Proves: S-072"""
        for module in (nixl, nixl.telemetry, nixl.distributed):
            stub = re.sub(r"\.py$", ".pyi", module.__file__)
            with open(stub) as file:
                tree = ast.parse(file.read())
            stubbed = set()
            for node in tree.body:
                if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                    stubbed.add(node.name)
                elif isinstance(node, ast.AnnAssign) and not node.target.id == "__all__":
                    stubbed.add(node.target.id)
                elif isinstance(node, ast.ImportFrom):
                    stubbed.update(alias.asname for alias in node.names if alias.asname)
            with self.subTest(module=module.__name__):
                self.assertEqual(set(module.__all__) - stubbed, set())

    def test_stubs_hold_the_same_members(self):
        """Proves: S-072"""
        with open(re.sub(r"\.py$", ".pyi", nixl.__file__)) as file:
            tree = ast.parse(file.read())
        for node in tree.body:
            if not isinstance(node, ast.ClassDef):
                continue
            kind = getattr(nixl, node.name)
            for member in node.body:
                if isinstance(member, ast.FunctionDef):
                    with self.subTest(name="%s.%s" % (node.name, member.name)):
                        self.assertTrue(hasattr(kind, member.name))
            stubbed = {m.name for m in node.body if isinstance(m, ast.FunctionDef)} | {
                m.target.id for m in node.body if isinstance(m, ast.AnnAssign)}
            for name, value in vars(kind).items():
                if not name.startswith("_") and (callable(value) or isinstance(value, property)):
                    with self.subTest(name="%s.%s" % (node.name, name)):
                        self.assertIn(name, stubbed)


if __name__ == "__main__":
    unittest.main()
