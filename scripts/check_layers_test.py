# SPDX-License-Identifier: Apache-2.0
"""The checks of layers and style find what they are for."""

import unittest

import check_layers
import check_style

LAYERS = check_layers.read_layers("""# comment
"src/base" = []
"src/memory" = [
    "src/base"]   # why
tools = ["src/memory"]
""")


class Layers(unittest.TestCase):
    def problems(self, files):
        return check_layers.problems_of(sorted(files), LAYERS, files.get)

    def test_lists_may_span_lines(self):
        self.assertEqual(
            LAYERS, {"src/base": [], "src/memory": ["src/base"], "tools": ["src/memory"]}
        )

    def test_allowed_includes_pass(self):
        self.assertEqual(
            self.problems(
                {
                    "src/base/a.h": "#include <vector>\n",
                    "src/memory/b.h": '#include "base/a.h"\n#include "c.h"\n',
                    "src/memory/c.h": "",
                }
            ),
            [],
        )

    def test_upward_include_is_found(self):
        found = self.problems({"src/base/a.h": '#include "memory/b.h"\n', "src/memory/b.h": ""})
        self.assertEqual(len(found), 1)
        self.assertIn("src/base may not include src/memory", found[0])

    def test_include_in_a_comment_does_not_count(self):
        self.assertEqual(
            self.problems(
                {
                    "src/base/a.h": '// #include "memory/b.h"\n/*\n#include "memory/b.h"\n*/\n',
                    "src/memory/b.h": "",
                }
            ),
            [],
        )

    def test_missing_file_and_unknown_folder_are_found(self):
        self.assertIn("no file here", self.problems({"src/base/a.h": '#include "gone.h"\n'})[0])
        self.assertIn("not in layers.toml", self.problems({"other/a.h": ""})[0])

    def test_allowance_is_not_inherited(self):
        found = self.problems({"tools/t.cpp": '#include "base/a.h"\n', "src/base/a.h": ""})
        self.assertEqual(len(found), 1)

    def test_cycle_is_found(self):
        self.assertIsNone(check_layers.find_cycle(LAYERS))
        self.assertEqual(check_layers.find_cycle({"a": ["b"], "b": ["a"]}), ["a", "b", "a"])


SPDX = "// SPDX-License-Identifier: Apache-2.0\n"


class Style(unittest.TestCase):
    def problems(self, name, body):
        return check_style.check_file(name, SPDX + body)[0]

    def test_clean_file_passes(self):
        self.assertEqual(
            self.problems("src/a.h", "#pragma once\nX(const X&) = delete;\nnew (&m) M;\n"), []
        )

    def test_each_rule_finds_its_breach(self):
        for name, body in (
            ("src/a.h", ""),
            ("src/a.cpp", "auto* x = new int;\n"),
            ("src/a.cpp", "delete x;\n"),
            ("src/a.cpp", "    std::free(x);\n"),
            ("src/a.cpp", "return malloc(4);\n"),
            ("src/a.cpp", "x" * 101 + "\n"),
            ("src/a.cpp", "// %s later\n" % "TO".ljust(3, "D").ljust(4, "O")),
            ("src/a.cpp", "\n" * 801),
            ("src/a.cpp", "void f() {\n" + "x();\n" * 70 + "}\n"),
            ("src/a.cpp", "// HOT\nstd::string s;\n"),
            ("tests/a.cpp", "std::this_thread::sleep_for(1s);\n"),
        ):
            self.assertEqual(len(self.problems(name, body)), 1, (name, body[:40]))

    def test_reason_in_a_comment_allows(self):
        self.assertEqual(
            self.problems("src/a.cpp", "// allow(naked-new): the C library owns it\nfree(x);\n"), []
        )

    def test_words_in_comments_and_strings_do_not_count(self):
        self.assertEqual(
            self.problems("src/a.cpp", '// a new one\nauto s = "delete x";\nx.free(y);\n'), []
        )
        self.assertEqual(self.problems("src/a.cpp", "Status free(Buffer buffer);\n"), [])

    def test_class_of_many_lines_is_no_function(self):
        self.assertEqual(
            self.problems("src/a.cpp", "class A {\n" + "void f();\n" * 90 + "};\n"), []
        )

    def test_missing_licence_line_is_found(self):
        self.assertEqual(len(check_style.check_file("src/a.cpp", "int x;\n")[0]), 1)


if __name__ == "__main__":
    unittest.main()
