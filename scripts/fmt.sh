#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Formats C and C++ sources with the formatter that the checks use.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case "${1:-}" in
-h | --help)
    echo "usage: ./dev fmt [--check]"
    echo
    echo "Formats all C and C++ sources in place; --check only tells which ones differ."
    exit 0
    ;;
--check) mode=check ;;
"") mode=write ;;
*) echo "fmt: unknown argument $1" >&2 && exit 2 ;;
esac
formatter=clang-format-14
command -v "$formatter" >/dev/null || scripts/setup.sh --test
# The columns of the three ABI headers are set by hand and part of their documentation.
git ls-files -z -co --exclude-standard -- '*.c' '*.cpp' '*.h' '*.hpp' |
    grep -zvE '^include/nixl/(types|backend|nixl_c)\.h$' |
    while IFS= read -r -d '' file; do [ ! -f "$file" ] || printf '%s\0' "$file"; done |
    if [ "$mode" = write ]; then
        xargs -0 -r "$formatter" -i
    else
        # Names alone: the differences are what ./dev fmt makes.
        xargs -0 -r -n 1 sh -c '"$0" --dry-run --Werror "$1" 2>/dev/null ||
            { echo "$1: not formatted"; exit 1; }' "$formatter"
    fi
