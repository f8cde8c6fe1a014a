#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Configures (once) and builds into build/, with what is installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ "${1:-}" = -h ] || [ "${1:-}" = --help ]; then
    echo "usage: ./dev build [MESON OPTION ...]"
    echo
    echo "meson setup build and ninja -C build. Options go to meson, such as -Dbuildtype=debug."
    exit 0
fi
if ! { command -v meson && command -v ninja && command -v g++; } >/dev/null; then
    scripts/setup.sh
fi
if [ ! -f build/build.ninja ]; then
    meson setup build "$@"
elif [ $# -gt 0 ]; then
    meson configure build "$@"
fi
exec ninja -C build
