# SPDX-License-Identifier: Apache-2.0
"""The repository's files, as the checks see them. Python 3.8, standard library only."""

import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUNDLE = "README-BUNDLE"  # what ./dev bundle has made holds it; there everything is built
BUNDLED = os.path.exists(os.path.join(ROOT, BUNDLE))
CODE = (".c", ".cpp", ".h", ".hpp")


def files(*suffixes):
    """Tracked and new files (not ignored ones), as paths from the root, sorted."""
    out = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    ).stdout.decode()
    names = sorted(set(name for name in out.split("\0") if name))
    return [
        name
        for name in names
        if (not suffixes or name.endswith(suffixes)) and os.path.isfile(os.path.join(ROOT, name))
    ]


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def blank_c(text, keep_strings=False):
    """C or C++ text with comments and strings blanked out; lines stay where they are."""
    out = []
    i, n = 0, len(text)
    while i < n:
        two = text[i : i + 2]
        if two == "//":
            end = text.find("\n", i)
            end = n if end < 0 else end
        elif two == "/*":
            end = text.find("*/", i + 2)
            end = n if end < 0 else end + 2
        elif two == 'R"' and (i == 0 or not (text[i - 1].isalnum() or text[i - 1] == "_")):
            close = ")" + text[i + 2 : text.index("(", i)] + '"'
            end = text.find(close, i)
            end = n if end < 0 else end + len(close)
        elif text[i] == '"' or (text[i] == "'" and not (i and text[i - 1].isalnum())):
            end = i + 1
            while end < n and text[end] != text[i]:
                end += 2 if text[end] == "\\" else 1
            end = min(end + 1, n)
        else:
            out.append(text[i])
            i += 1
            continue
        piece = text[i:end]
        if text[i] == '"' and keep_strings:
            out.append(piece)
        else:
            out.append("".join(c if c == "\n" else " " for c in piece))
        i = end
    return "".join(out)


def report(results):
    """Prints `results`, {name: [problem]}, a case each. Returns the exit status."""
    for name, problems in results.items():
        print("%-4s %s" % ("FAIL" if problems else "ok", name))
        print("".join("     %s\n" % line for line in problems), end="")
    failed = sum(1 for problems in results.values() if problems)
    print("%d passed, %d failed" % (len(results) - failed, failed))
    return 1 if failed else 0
