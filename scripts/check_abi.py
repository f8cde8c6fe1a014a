#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the exported symbols and the struct layouts with the frozen ones in tests/abi.

Both ABIs only grow at their ends: --write is for additions, and its difference is for review.
"""

import argparse
import glob
import os
import re
import subprocess
import sys
import tempfile

import tree

HEADERS = ("types.h", "nixl_c.h", "backend.h")
SYMBOLS, LAYOUTS = "tests/abi/symbols.txt", "tests/abi/layouts.txt"
SIGNATURES = "tests/abi/signatures.txt"
MOST_THREAD_BYTES = 256
STRUCT = re.compile(r"typedef struct (\w+) \{(.*?)\} \1;", re.S)
ENUM = re.compile(r"enum \{(.*?)\}", re.S)
POINTER_FIELD = re.compile(r"\(\*(\w+)\)\(")
PLAIN_FIELD = re.compile(r"(\w+)\s*(?:\[\w+\])?$")


def fields_of(body):
    """Names of a struct's fields, in order."""
    names = []
    for declaration in filter(None, (part.strip() for part in body.split(";"))):
        pointer = POINTER_FIELD.search(declaration)
        if pointer:
            names.append(pointer.group(1))
            continue
        for part in declaration.split(","):
            names.append(PLAIN_FIELD.search(part.strip()).group(1))
    return names


def layouts():
    """Lines "struct bytes", "struct.field offset bytes", "enumerator = number", by a C program."""
    lines = [
        "#include <nixl/nixl_c.h>",
        "#include <nixl/backend.h>",
        "#include <stdio.h>",
        "int main(void) {",
    ]
    for header in HEADERS:
        text = tree.blank_c(tree.read("include/nixl/" + header))
        for name, body in STRUCT.findall(text):
            lines.append('printf("%s %%zu\\n", sizeof(%s));' % (name, name))
            for field in fields_of(body):
                lines.append(
                    'printf("%s.%s %%zu %%zu\\n", offsetof(%s, %s), sizeof(((%s *)0)->%s));'
                    % (name, field, name, field, name, field)
                )
        for body in ENUM.findall(text):
            for part in filter(None, (part.strip() for part in body.split(","))):
                name = part.split("=")[0].strip()
                lines.append('printf("%s = %%lld\\n", (long long)%s);' % (name, name))
    lines.append("return 0; }")
    with tempfile.TemporaryDirectory() as folder:
        source, program = os.path.join(folder, "layouts.c"), os.path.join(folder, "layouts")
        with open(source, "w") as file:
            file.write("\n".join(lines) + "\n")
        subprocess.run(
            ["gcc", "-std=c11", "-Iinclude", source, "-o", program], cwd=tree.ROOT, check=True
        )
        return subprocess.run([program], check=True, stdout=subprocess.PIPE).stdout.decode()


def signatures():
    """Every declaration as one line: calls, types of functions, fields with their types."""
    lines = []
    for header in HEADERS:
        text = tree.blank_c(tree.read("include/nixl/" + header))
        lines += ["%s;" % call for call in re.findall(r"NIXL_API\s+([^;{]+);", text)]
        lines += ["%s;" % kind for kind in re.findall(r"(typedef [^;{]*\(\*\w+\)\([^;{]*);", text)]
        for name, body in STRUCT.findall(text):
            lines += ["%s: %s;" % (name, field) for field in body.split(";") if field.strip()]
    return "".join(" ".join(line.split()) + "\n" for line in lines)


def library(build):
    libraries = [
        path
        for path in glob.glob(os.path.join(tree.ROOT, build, "**", "libnixl.so*"), recursive=True)
        if os.path.isfile(path)
    ]
    if not libraries:
        sys.exit("abi: no libnixl.so under " + build)
    return libraries[0]


def thread_memory(build):
    """Problems with the memory that the library takes of each thread.

    Parts of it are static ("initial-exec"), for speed. Of that kind glibc keeps some 1,600 bytes
    for all libraries together that a program loads late, as Python does.
    """
    out = subprocess.run(["readelf", "-lW", library(build)], check=True,
                         stdout=subprocess.PIPE).stdout.decode()
    found = re.search(r"^ +TLS +(?:0x\w+ +){4}0x(\w+)", out, re.M)
    size = int(found.group(1), 16) if found else 0
    if size <= MOST_THREAD_BYTES:
        return []
    return ["%d bytes of each thread, more than %d: keep pointers there" % (size,
                                                                           MOST_THREAD_BYTES)]


def symbols(build):
    """What the library exports, one per line."""
    out = subprocess.run(
        ["nm", "-D", "--defined-only", library(build)], check=True, stdout=subprocess.PIPE
    ).stdout.decode()
    names = sorted(
        set(
            line.split()[2].split("@")[0]
            for line in out.splitlines()
            if len(line.split()) == 3 and line.split()[1] != "A"
        )
    )
    return "".join(name + "\n" for name in names)


def declared():
    text = tree.blank_c(tree.read("include/nixl/nixl_c.h"))
    return set(re.findall(r"NIXL_API[^;(]*?\b(nixl_\w+)\s*\(", text))


def compare(path, text):
    """Problems as lines of a difference; empty when `text` is what the file says."""
    try:
        frozen = tree.read(path).splitlines()
    except OSError as error:
        return ["%s: %s" % (path, error.strerror)]
    now = text.splitlines()
    return ["%s: lost or changed: %s" % (path, line) for line in frozen if line not in now] + [
        "%s: new, not frozen yet: %s" % (path, line) for line in now if line not in frozen
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build", help="folder with the library (default: build)")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--check", action="store_true", help="compare (the default)")
    action.add_argument("--write", action="store_true", help="freeze what is there now")
    arguments = parser.parse_args()
    found = {SYMBOLS: symbols(arguments.build), LAYOUTS: layouts(),
             SIGNATURES: signatures()}
    if arguments.write:
        for path, text in found.items():
            with open(os.path.join(tree.ROOT, path), "w") as file:
                file.write(text)
        return 0
    exported = set(found[SYMBOLS].split())
    results = {
        "symbols": compare(SYMBOLS, found[SYMBOLS]),
        "layouts": compare(LAYOUTS, found[LAYOUTS]),
        "thread memory": thread_memory(arguments.build),
        "signatures": compare(SIGNATURES, found[SIGNATURES]),
        "declared is exported": sorted("not exported: " + name for name in declared() - exported),
        "exported is declared": sorted("not declared: " + name for name in exported - declared()),
    }
    return tree.report(results)


if __name__ == "__main__":
    sys.exit(main())
