#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the rules of STYLE.md that a program can check.

A rule may be broken with a reason, in a comment on the same line or the one above:
allow(<rule>): why. Rules: naked-new, sleep, hot, columns.
"""

import argparse
import ast
import re
import sys

import tree

SOFT_LINES, HARD_LINES, FUNCTION_LINES, COLUMNS = 400, 800, 70, 100
# The columns of the ABI headers are set by hand; their include guards serve C.
ABI_HEADERS = ("include/nixl/types.h", "include/nixl/backend.h", "include/nixl/nixl_c.h")
ABI_COLUMNS = 112
SCRIPTS = (".py", ".sh", "meson.build", "meson_options.txt", ".pyi", ".toml")

ALLOCATORS = r"(?:std::|::)?(?:malloc|calloc|realloc|free)\s*\("
NAKED_NEW = re.compile(
    r"(?<!operator )\bnew\b(?!\s*\()|(?<!operator )\bdelete\b"
    r"|(?<![\w.>:])(?<![\w>&*] )" + ALLOCATORS + r"|\breturn\s+" + ALLOCATORS
)
DELETED_FUNCTION = re.compile(r"=\s*delete\b")
SLEEP = re.compile(
    r"\b(sleep_for|sleep_until|nanosleep|usleep|sleep)\s*\(|\btime\.sleep\b|^\s*sleep\s"
)
TODO = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\((#\d+|[SC]-\d+)\))")
HOT = re.compile(r"^// HOT\b", re.M)
HOT_FORBIDDEN = re.compile(
    r"std::(function|string|to_string|shared_ptr|make_shared|make_unique|mutex|lock_guard"
    r"|unique_lock|scoped_lock|map|unordered_map|set|unordered_set)\b"
    r"|\bNIXL_LOG\b|\bthrow\b|\bnew\b|\bmalloc\s*\("
    r"|\.(push_back|emplace_back|resize|reserve|insert)\s*\("
)
SCOPE_WORDS = re.compile(r"\b(namespace|class|struct|union|enum|extern)\b")


def allowed(lines, index, rule):
    mark = "allow(%s):" % rule
    return mark in lines[index] or (index > 0 and mark in lines[index - 1])


def matches(name, lines, blanked, pattern, rule, text):
    """A problem for every line of `blanked` that holds `pattern` and no allowance."""
    return [
        "%s:%d: %s" % (name, i + 1, text)
        for i, line in enumerate(blanked)
        if pattern.search(line) and not allowed(lines, i, rule)
    ]


def long_functions_c(text):
    """(line, length) of functions that are too long. A body is a block that follows a ')' and whose
    scope is no function itself."""
    found, stack, head_start = [], [], 0
    for i, c in enumerate(text):
        if c == "{":
            head = text[head_start:i]
            inside = any(kind == "function" for kind, _ in stack)
            is_function = (
                ")" in head
                and not inside
                and not head.rstrip().endswith(("=", ",", "("))
                and not (SCOPE_WORDS.search(head) and "(" not in head)
            )
            first = head_start + len(head) - len(head.lstrip())
            stack.append(("function" if is_function else "scope", first))
            head_start = i + 1
        elif c == "}":
            kind, first = stack.pop() if stack else ("scope", 0)
            lines = text.count("\n", first, i) + 1
            if kind == "function" and lines > FUNCTION_LINES:
                found.append((text.count("\n", 0, first) + 1, lines))
            head_start = i + 1
        elif c == ";":
            head_start = i + 1
    return found


def long_functions_python(text):
    return [
        (node.lineno, node.end_lineno - node.lineno + 1)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES
    ]


def without_directives(text):
    """Preprocessor lines blanked, so that macros' braces do not count."""
    out, continued = [], False
    for line in text.split("\n"):
        directive = continued or line.lstrip().startswith("#")
        continued = directive and line.endswith("\\")
        out.append("" if directive else line)
    return "\n".join(out)


def check_c(name, text, lines):
    problems = []
    blanked = tree.blank_c(text)
    rows = blanked.split("\n")
    if name.endswith((".h", ".hpp")) and name not in ABI_HEADERS and "#pragma once" not in rows:
        problems.append("%s: no #pragma once" % name)
    code = without_directives(blanked)
    rows_new = [DELETED_FUNCTION.sub("", row) for row in code.split("\n")]
    problems += matches(
        name, lines, rows_new, NAKED_NEW, "naked-new", "naked new/delete/malloc/free"
    )
    if HOT.search(text):
        problems += matches(name, lines, rows, HOT_FORBIDDEN, "hot", "not in a HOT file")
    for line, length in long_functions_c(code):
        problems.append(
            "%s:%d: function of %d lines (%d at most)" % (name, line, length, FUNCTION_LINES)
        )
    return problems


def check_file(name, text):
    """(problems, warnings) of one file."""
    lines = text.split("\n")
    problems, warnings = [], []
    head = lines[1:2] if lines[0].startswith("#!") else lines[0:1]
    if not any("SPDX-License-Identifier: Apache-2.0" in line for line in head):
        problems.append("%s: the first line is not the SPDX line" % name)
    if len(lines) - 1 > HARD_LINES:
        problems.append("%s: %d lines (%d at most)" % (name, len(lines) - 1, HARD_LINES))
    elif len(lines) - 1 > SOFT_LINES:
        warnings.append("%s: %d lines, think of parts" % (name, len(lines) - 1))
    limit = ABI_COLUMNS if name in ABI_HEADERS else COLUMNS
    for i, line in enumerate(lines):
        if len(line) > limit and not allowed(lines, i, "columns"):
            problems.append("%s:%d: %d columns" % (name, i + 1, len(line)))
        if TODO.search(line) and name != "scripts/check_style.py":
            problems.append("%s:%d: TODO without a number" % (name, i + 1))
    if name.endswith(tree.CODE):
        problems += check_c(name, text, lines)
    elif name.endswith(".py"):
        for line, length in long_functions_python(text):
            problems.append("%s:%d: function of %d lines" % (name, line, length))
    if name.startswith("tests/"):
        rows = (
            tree.blank_c(text).split("\n")
            if name.endswith(tree.CODE)
            else [line.split("#", 1)[0] for line in lines]
        )
        problems += matches(
            name, lines, rows, SLEEP, "sleep", "sleep in a test; wait for the condition"
        )
    return problems, warnings


PACKAGE = "bindings/python/nixl/"


def check_package(names):
    """What Python imports has to be installed, and Meson knows no patterns."""
    there = {name[len(PACKAGE):] for name in names
             if name.startswith(PACKAGE) and name.endswith((".py", ".pyi", ".typed"))}
    listed = set(re.findall(r"^    '([\w.]+)',$", tree.read("bindings/python/meson.build"), re.M))
    return ["bindings/python/meson.build: %s is not listed" % name
            for name in sorted(there - listed)]


def main():
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    names = [name for name in tree.files(*(tree.CODE + SCRIPTS)) + ["dev"]]
    problems, warnings = check_package(names), []
    for name in names:
        found, soft = check_file(name, tree.read(name))
        problems += found
        warnings += soft
    for line in warnings:
        print("note: " + line)
    print("\n".join(problems + ["style: %d files, %d problems" % (len(names), len(problems))]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
