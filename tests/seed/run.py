#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the specification's examples against an installation.

    run.py [--gpus N|real] [--prefix DIR] [--text FILE] [PATTERN]

Without --prefix it is a bundle's own, or build/ is installed into a folder. The last line is
`N passed, N failed, N skipped`.
"""

import argparse
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def prefix_in(folder):
    """Of the bundle's installation, or of one that is made in the folder."""
    sys.path.insert(0, os.path.join(ROOT, "scripts"))
    from staging import installed

    return installed(folder).prefix


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gpus", default="2", help='how many simulated ones, or "real"')
    parser.add_argument("--prefix", help="an installation; by default build/ is installed")
    parser.add_argument("--text", default="", help="the specification")
    parser.add_argument("pattern", nargs="?", default="test_*.py")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nixl-seed-") as folder:
        found = os.path.abspath(options.text) if os.path.isfile(options.text) else ""
        os.environ.update(
            NIXL_SEED_TEXT=found, NIXL_SEED_GPUS=options.gpus,
            NIXL_SEED_PREFIX=os.path.abspath(options.prefix or prefix_in(folder)))
        sys.path[:0] = [HERE, os.path.join(ROOT, "tests", "support")]
        from unit_run import run_folder

        numbers = run_folder(HERE, options.pattern)
    print("%d passed, %d failed, %d skipped" % numbers)
    return 1 if numbers[1] else 0


if __name__ == "__main__":
    sys.exit(main())
