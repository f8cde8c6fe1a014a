#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds plug-ins outside of the tree against an installation: the template, a backend made of it
that moves bytes, one from before the last additions to the ABI, and those that must be refused.

Proves: S-019
"""
import json
import os
import shutil
import sys
import tempfile

import tree
from staging import Cases, Staging, run

NAME, MADE = "template_backend", "made_of_it"

# A plug-in in C; the words in capitals are defined when it is compiled.
PLUGIN = r"""
#include <stddef.h>
#include <nixl/backend.h>
static nixl_status probe(void* self, const nixl_host_v1* host, nixl_caps* out, nixl_error_text* e) {
    (void)self; (void)host; (void)e; out->pair_count = 0; return NIXL_OK; }
static nixl_status open_it(void* s, const nixl_host_v1* h, void** o, nixl_error_text* e) {
    (void)s; (void)h; (void)o; (void)e; return NIXL_UNSUPPORTED; }
static void close_it(void* instance) { (void)instance; }
static nixl_status queue_open(void* i, uint32_t d, void* h, void** q, nixl_error_text* e) {
    (void)i; (void)d; (void)h; (void)q; (void)e; return NIXL_UNSUPPORTED; }
static void queue_close(void* queue) { (void)queue; }
static uint64_t submit(void* queue, const nixl_batch* batch) { (void)queue; (void)batch; return 0; }
static uint32_t poll_it(void* q, nixl_completion* o, uint32_t c) {
    (void)q; (void)o; (void)c; return 0; }
__attribute__((visibility("default")))
nixl_status ENTRY(const nixl_host_v1* host, nixl_backend_v1* out) {
    (void)host;
    if (ANSWER != NIXL_OK)
        return ANSWER;
    out->struct_size = BYTES; out->abi = ABI; out->name = NAME;
    out->probe = probe; out->open = open_it; out->close = close_it;
    out->queue_open = queue_open; out->queue_close = queue_close; out->submit = submit;
    out->poll = poll_it;
    return NIXL_OK;
}
"""
GOOD = {"ENTRY": "nixl_backend_entry", "ANSWER": "NIXL_OK", "ABI": "NIXL_BACKEND_ABI",
        "NAME": '"fine"', "BYTES": "sizeof *out"}
BYTES_OF_OLDEST = "offsetof(nixl_backend_v1, poll) + sizeof out->poll"
# What is changed in a good one, and what the reason has to say.
REFUSED = {
    "no_entry": ({"ENTRY": "another_entry"}, "does not export nixl_backend_entry"),
    "other_abi": ({"ANSWER": "NIXL_UNSUPPORTED"}, "nixl_backend_entry answered UNSUPPORTED to ABI"),
    "wrong_number": ({"ABI": "(NIXL_BACKEND_ABI + 1)"}, "ABI"),
    "same_name": ({"NAME": '"memcpy"'}, "the name memcpy is taken by built in"),
    "bad_name": ({"NAME": '"Not A Name"'}, "name"),
}


def build_plugin(staging, source, build):
    run(["meson", "setup", build, source, "-Dnixl_include=" + staging.headers, "-Dwerror=true"])
    run(["ninja", "-C", build])
    return build


def build_template(staging, folder):
    source = os.path.join(folder, "template")
    shutil.copytree(os.path.join(tree.ROOT, "backends", "template"), source)
    return build_plugin(staging, source, os.path.join(folder, "build"))


def links_against_nothing_of_ours(plugin):
    undefined = run(["nm", "-D", "--undefined-only", plugin], quiet=True)
    ours = [line.split()[-1] for line in undefined.splitlines() if " nixl_" in line]
    assert not ours, "undefined: " + " ".join(ours)
    needed = run(["readelf", "-d", plugin], quiet=True)
    assert "libnixl" not in needed, "it is linked with libnixl"


def plugins_of(staging, folder):
    environment = {"NIXL_PLUGIN_DIR": folder}
    run([staging.program("nixl-info"), "--plugins"], environment)
    text = run([staging.program("nixl-info"), "--plugins", "--json"], environment)
    return json.loads(text)["plugins"]


def is_loaded(staging, folder, name):
    plugins = plugins_of(staging, folder)
    assert name in [each["name"] for each in plugins["loaded"]], plugins
    assert not plugins["refused"], plugins


def new_backend_moves_bytes(staging, folder):
    """`./dev new-backend`, with a cost that makes the library choose it before the built-in one."""
    source = os.path.join(folder, MADE)
    run([sys.executable, "scripts/new_backend.py", MADE, "--folder", source])
    path = os.path.join(source, MADE + ".cpp")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    cheap = text.replace("0, 1000.0, 1.0}", "0, 0.1, 1e6}")
    assert cheap != text, "the template's cost is written in another way"
    with open(path, "w", encoding="utf-8") as file:
        file.write(cheap)
    build = build_plugin(staging, source, os.path.join(folder, "build-made"))
    is_loaded(staging, build, MADE)
    bench = [staging.program("nixlbench"), "--mode", "p2p", "--size", "1MB", "--iterations", "5",
             "--src-type", "cpu", "--dst-type", "cpu"]
    text = run(bench, {"NIXL_PLUGIN_DIR": build})
    assert "Path: " + MADE in text, "another path was taken"
    assert "Verified: 5 of 5" in text, "bytes were not verified"


def build_in_c(staging, folder, name, changes):
    os.mkdir(folder)
    source = os.path.join(folder, "plugin.c")
    with open(source, "w", encoding="utf-8") as file:
        file.write(PLUGIN)
    defines = ["-D%s=%s" % item for item in dict(GOOD, **changes).items()]
    run(["gcc", "-std=gnu11", "-shared", "-fPIC", "-I" + staging.headers, *defines, source,
         "-o", os.path.join(folder, name + ".so")])


def is_refused(staging, folder, name, changes, reason):
    build_in_c(staging, folder, name, changes)
    plugins = plugins_of(staging, folder)
    assert not plugins["loaded"], plugins
    assert len(plugins["refused"]) == 1 and name + ".so" in plugins["refused"][0]["source"], plugins
    assert reason in plugins["refused"][0]["reason"], plugins["refused"][0]["reason"]


def no_object_is_refused(staging, folder):
    os.mkdir(folder)
    with open(os.path.join(folder, "libbroken.so"), "w", encoding="utf-8") as file:
        file.write("this is no shared object\n")
    plugins = plugins_of(staging, folder)
    assert not plugins["loaded"], plugins
    assert "libbroken.so" in plugins["refused"][0]["source"], plugins
    assert plugins["refused"][0]["reason"], "no reason is told"


def older_one_is_loaded(staging, folder):
    """Its table ends with poll(), as that of ABI 1 without any addition does."""
    build_in_c(staging, folder, "older", {"BYTES": BYTES_OF_OLDEST})
    is_loaded(staging, folder, "fine")


def main():
    cases = Cases()
    with tempfile.TemporaryDirectory() as folder:
        staging = cases.run("install", Staging, "build", os.path.join(folder, "staging"))
        build = staging and cases.run("build", build_template, staging, folder)
        if build:
            plugin = os.path.join(build, NAME + ".so")
            cases.run("links against nothing of ours", links_against_nothing_of_ours, plugin)
            cases.run("loaded", is_loaded, staging, build, NAME)
            cases.run("a new backend moves bytes", new_backend_moves_bytes, staging, folder)
            cases.run("an older one is loaded", older_one_is_loaded, staging,
                      os.path.join(folder, "older"))
            cases.run("no object: refused", no_object_is_refused, staging,
                      os.path.join(folder, "no-object"))
            for name, (changes, reason) in sorted(REFUSED.items()):
                cases.run(name + ": refused", is_refused, staging, os.path.join(folder, name), name,
                          changes, reason)
    return cases.finish()


if __name__ == "__main__":
    sys.exit(main())
