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
--check) mode=(--dry-run --Werror) ;;
"") mode=(-i) ;;
*) echo "fmt: unknown argument $1" >&2 && exit 2 ;;
esac
formatter=clang-format-14
command -v "$formatter" >/dev/null || scripts/setup.sh --test
# The columns of the three ABI headers are set by hand and part of their documentation.
git ls-files -z -co --exclude-standard -- '*.c' '*.cpp' '*.h' '*.hpp' |
    grep -zvE '^include/nixl/(types|backend|nixl_c)\.h$' |
    while IFS= read -r -d '' file; do [ ! -f "$file" ] || printf '%s\0' "$file"; done |
    xargs -0 -r "$formatter" "${mode[@]}"
