# SPDX-License-Identifier: Apache-2.0
"""Installs a build into a folder of its own, for checks of what users get."""
import json
import os
import subprocess

import tree


class Installation:
    """What was installed below `prefix`, with the places of its parts."""

    def __init__(self, prefix, libdir="lib", includedir="include", bindir="bin"):
        self.prefix = prefix
        self.libraries = os.path.join(prefix, libdir)
        self.headers = os.path.join(prefix, includedir)
        self.programs = os.path.join(prefix, bindir)
        self.root = prefix  # below which everything lies

    def python_folder(self):
        """The folder that holds the package nixl; None when it is not installed."""
        for folder, folders, _ in os.walk(self.root):
            if "nixl" in folders and os.path.exists(os.path.join(folder, "nixl", "__init__.py")):
                return folder
        return None

    def program(self, name):
        return os.path.join(self.programs, name)


class Staging(Installation):
    """An installation of a build under `root` (DESTDIR)."""

    def __init__(self, build, root):
        run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", root])
        introspect = ["meson", "introspect", "--buildoptions", build]
        out = subprocess.run(introspect, cwd=tree.ROOT, check=True, stdout=subprocess.PIPE).stdout
        options = {option["name"]: option["value"] for option in json.loads(out)}
        super().__init__(root + options["prefix"], options["libdir"], options["includedir"],
                         options["bindir"])
        self.root = root


def installed(folder):
    """The bundle's installation, or one of build/ that is made in the folder."""
    if tree.BUNDLED:
        return Installation(os.path.join(tree.ROOT, "install"))
    return Staging("build", folder)


def run(command, environment=None, quiet=False, folder=None):
    """Runs a command, shows it, gives its standard output. Raises when it fails."""
    print("$ " + " ".join(command), flush=True)
    done = subprocess.run(
        command,
        cwd=folder or tree.ROOT,
        env=dict(os.environ, **(environment or {})),
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    text = done.stdout.decode(errors="replace")
    if not quiet or done.returncode != 0:
        print(text, end="", flush=True)
    if done.returncode != 0:
        raise CommandFailed("%s: exit code %d" % (os.path.basename(command[0]), done.returncode))
    return text


class CommandFailed(Exception):
    pass


class CannotRun(Exception):
    """This machine does not permit it; the text says what."""


class Cases:
    """Named cases, each ok, failed or skipped; the summary is what ./dev test counts."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def run(self, name, case, *arguments):
        """Runs case(*arguments); it fails by raising."""
        try:
            result = case(*arguments)
        except CannotRun as reason:
            print("SKIP %s: %s" % (name, reason), flush=True)
            self.skipped += 1
            return None
        except (CommandFailed, AssertionError, OSError, ValueError) as error:
            print("FAIL %s: %s" % (name, error), flush=True)
            self.failed += 1
            return None
        print("ok   " + name, flush=True)
        self.passed += 1
        return result

    def finish(self):
        skipped = ", %d skipped" % self.skipped if self.skipped else ""
        print("%d passed, %d failed%s" % (self.passed, self.failed, skipped))
        return 1 if self.failed else 0
