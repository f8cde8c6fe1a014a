#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes docs/conformance.md from docs/conformance/rows.tsv and the markers in the tests.

A test names the rows that it proves in a line "Proves: S-024 C-19" above it, or in its docstring.
A row with tests is proven, or "part" when rows.tsv says what is missing. A row without tests is
open, and so is one that rows.tsv calls open although some test touches it.
"""

import argparse
import os
import re
import sys

import tree

ROWS, PAGE = "docs/conformance/rows.tsv", "docs/conformance.md"
MARK = re.compile(r"\bProves:((?:[ ,]+[SC]-\d+)+)")
ROW_ID = re.compile(r"[SC]-\d+")
CPP_TEST = re.compile(r"^\s*(?:TYPED_)?TEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)", re.M)
PYTHON_NAME = re.compile(r"^( *)(class|(?:async )?def) (\w+)")
STATES = ("", "part", "open", "n/a")
SHOWN_TESTS = 4

HEAD = """# Conformance

What of the product's specification works, row by row: S-rows are its surfaces, C-rows the decisions
where it leaves a choice. This page is written by `./dev conformance --write` from
[conformance/rows.tsv](conformance/rows.tsv) and from the rows that the tests name; do not edit it.

**proven**: tests show it, edge cases included. **part**: tests show it but for what is named.
**open**: not here yet. A test that a machine cannot run (it says why) counts here all the same:
this page tells what the tests are, a test run whether they pass.
"""


def read_rows():
    rows = []
    for number, line in enumerate(tree.read(ROWS).splitlines()[1:], 2):
        parts = line.split("\t")
        if len(parts) != 5 or parts[3] not in STATES or bool(parts[3]) != bool(parts[4]):
            sys.exit(
                "%s:%d: expected id, area, what, state (part, open, n/a or nothing), note"
                % (ROWS, number)
            )
        rows.append(parts)
    return rows


def cpp_tests(text):
    """(marker's offset, row ids, test name or None)"""
    tests = [(match.start(), "%s.%s" % match.groups()) for match in CPP_TEST.finditer(text)]
    for mark in MARK.finditer(text):
        following = [name for at, name in tests if at > mark.start()]
        yield ROW_ID.findall(mark.group(1)), following[0] if following else None


def without_programs(text):
    """Programs in strings are no tests: blanks those that begin in the middle of a line."""
    parts = text.split('"""')
    for number in range(1, len(parts), 2):
        if parts[number - 1].rpartition("\n")[2].strip():
            parts[number] = "\n" * parts[number].count("\n")
    return '"""'.join(parts)


def python_tests(text):
    """A marker in a docstring belongs to the innermost class or def around it, one in a comment to
    the next def; outside of both, to the file (None)."""
    lines = without_programs(text).split("\n")
    for number, line in enumerate(lines):
        mark = MARK.search(line)
        if not mark:
            continue
        names = {}
        if line.lstrip().startswith("#"):
            following = (PYTHON_NAME.match(other) for other in lines[number:])
            heads = [head for head in following if head][:1]
            indent = len(heads[0].group(1)) if heads else 0
            names[indent] = heads[0].group(3) if heads else None
        else:
            indent = len(line) - len(line.lstrip())
        for other in reversed(lines[:number]):
            head = PYTHON_NAME.match(other)
            if head and len(head.group(1)) < indent:
                indent = len(head.group(1))
                names[indent] = head.group(3)
        yield (
            ROW_ID.findall(mark.group(1)),
            ".".join(name for _, name in sorted(names.items()) if name) or None,
        )


def is_built(name):
    """Whether a test of C++ is in some meson.build beside it or above."""
    folder, file = os.path.split(name)
    if not name.endswith((".cpp", ".c")):
        return True
    while folder:
        path = os.path.join(tree.ROOT, folder, "meson.build")
        if os.path.exists(path) and ("'%s'" % file in tree.read(path) or
                                     "/%s'" % file in tree.read(path)):
            return True
        folder = os.path.dirname(folder)
    return False


def find_tests():
    """{row id: [names]} over all tests and the scripts that ./dev test runs."""
    found = {}
    for name in tree.files():
        is_script = name.startswith("scripts/check_") and not name.endswith("_test.py")
        if not (name.startswith("tests/") or is_script) or name.endswith((".md", ".txt", ".json")):
            continue
        try:
            text = tree.read(name)
        except UnicodeDecodeError:
            continue
        parse = cpp_tests if name.endswith(tree.CODE) else python_tests
        for ids, test in parse(text):
            if (test or "").find("DISABLED_") >= 0 or not is_built(name):
                sys.exit("%s: %s proves nothing: it does not run" % (name, test))
            for row in ids:
                label = test or name
                if label not in found.setdefault(row, []):
                    found[row].append(label)
    return found


def state_of(row, tests):
    """The state as the page shows it."""
    _, _, _, state, note = row
    if state == "n/a":
        return "not applicable (%s)" % note
    if state == "open":
        return "open (%s)" % note
    if not tests:
        return "open (no test yet)"
    return "part (missing: %s)" % note if state == "part" else "proven"


def page(rows, found):
    body, counts = [], {}
    area = None
    for row in rows:
        tests = found.get(row[0], [])
        state = state_of(row, tests)
        word = state.split(" (")[0]
        counts[word] = counts.get(word, 0) + 1
        if row[1] != area:
            area = row[1]
            body += [
                "",
                "## " + area.capitalize(),
                "",
                "| row | what | tests | state |",
                "|---|---|---|---|",
            ]
        shown = ["`%s`" % name for name in tests[:SHOWN_TESTS]]
        if len(tests) > SHOWN_TESTS:
            shown.append("and %d more" % (len(tests) - SHOWN_TESTS))
        body.append(
            "| %s | %s | %s | %s |"
            % (row[0], row[2].replace("|", "\\|"), "<br>".join(shown), state)
        )
    total = ", ".join(
        "%d %s" % (counts[word], word)
        for word in ("proven", "part", "open", "not applicable")
        if word in counts
    )
    return HEAD + "\n%d rows: %s.\n" % (len(rows), total) + "\n".join(body) + "\n"


def main():
    parser = argparse.ArgumentParser(
        prog="./dev conformance",
        description=__doc__.split("\n")[0],
        epilog=__doc__.split("\n\n", 1)[1],
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--write", action="store_true", help="update the page")
    action.add_argument("--check", action="store_true", help="fail when the page is not up to date")
    arguments = parser.parse_args()
    rows, found = read_rows(), find_tests()
    unknown = sorted(set(found) - set(row[0] for row in rows))
    for row in unknown:
        print("there is no row %s, which %s names" % (row, ", ".join(found[row])))
    text = page(rows, found)
    if arguments.write:
        with open(os.path.join(tree.ROOT, PAGE), "w", encoding="utf-8") as file:
            file.write(text)
    same = os.path.exists(os.path.join(tree.ROOT, PAGE)) and tree.read(PAGE) == text
    if arguments.check and not same:
        print("%s is not what the tests say; run ./dev conformance --write" % PAGE)
    print([line for line in text.split("\n") if " rows: " in line][0])
    return 1 if unknown or (arguments.check and not same) else 0


if __name__ == "__main__":
    sys.exit(main())
