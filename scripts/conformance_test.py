# SPDX-License-Identifier: Apache-2.0
"""Markers are found with the test that they belong to."""

import unittest

import conformance

MARKER = "Proves:"  # in two parts, so that this file names no row


class Markers(unittest.TestCase):
    def test_cpp_marker_belongs_to_the_next_test(self):
        text = "// %s S-001 C-02\n// %s S-003\nTEST(A, B_c) {}\nTEST_F(D, E) {}\n" % (
            MARKER,
            MARKER,
        )
        self.assertEqual(
            list(conformance.cpp_tests(text)), [(["S-001", "C-02"], "A.B_c"), (["S-003"], "A.B_c")]
        )

    def test_python_marker_in_a_docstring_belongs_to_its_test(self):
        text = (
            'class A:\n    def test_b(self):\n        """Text.\n\n        %s S-001\n        """\n'
            % MARKER
        )
        self.assertEqual(list(conformance.python_tests(text)), [(["S-001"], "A.test_b")])

    def test_python_marker_in_a_comment_belongs_to_the_next_test(self):
        text = (
            "class A:\n    def test_a(self):\n        pass\n\n"
            "    # %s S-002\n    def test_b(self):\n"
            % MARKER
        )
        self.assertEqual(list(conformance.python_tests(text)), [(["S-002"], "A.test_b")])

    def test_marker_outside_belongs_to_the_file(self):
        self.assertEqual(
            list(conformance.python_tests('"""Text.\n%s S-001, S-002\n"""\n' % MARKER)),
            [(["S-001", "S-002"], None)],
        )


class States(unittest.TestCase):
    def test_state_follows_tests_and_note(self):
        row = ["S-001", "area", "what", "", ""]
        self.assertEqual(conformance.state_of(row, ["t"]), "proven")
        self.assertEqual(conformance.state_of(row, []), "open (no test yet)")
        row = ["S-001", "area", "what", "part", "x"]
        self.assertEqual(conformance.state_of(row, ["t"]), "part (missing: x)")
        self.assertEqual(conformance.state_of(row, []), "open (no test yet)")
        row = ["S-001", "area", "what", "open", "x"]
        self.assertEqual(conformance.state_of(row, ["t"]), "open (x)")


if __name__ == "__main__":
    unittest.main()
