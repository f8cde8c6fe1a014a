#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Lets programs that were linked with -lnixl start at once. Not for staged installations, whose
# packager does this on the target machine, and not without the right to.
if [ -z "$DESTDIR" ] && [ "$(id -u)" = 0 ] && command -v ldconfig >/dev/null; then
    ldconfig
fi
