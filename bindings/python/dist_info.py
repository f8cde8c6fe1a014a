# SPDX-License-Identifier: Apache-2.0
"""Writes RECORD of the dist-info folder for the build: dist_info.py DIST_INFO FILE...

RECORD lets pip and importlib.metadata know which files belong to the package. Sizes and hashes may
be left empty, as they are for files that the installation may still strip.
"""

import sys

folder, files = sys.argv[1], sys.argv[2:]
names = ["nixl/" + name for name in files]
names += ["%s/%s" % (folder, name) for name in ("METADATA", "INSTALLER", "RECORD")]
print("\n".join(name + ",," for name in names))
