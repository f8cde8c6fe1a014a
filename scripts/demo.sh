#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The main job on one file: read it, move it through memory, write a second file, verify, compare.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

if [ "${1:-}" = -h ] || [ "${1:-}" = --help ]; then
    cat <<'TEXT'
usage: ./dev demo [FILE] [OPTION ...]

Installs what is missing, builds, reads FILE through the posix backend, moves it through host
buffers into a second file and verifies the bytes. Prints for each leg the path, GB/s and percent of
the raw baseline (plain system calls and memcpy, measured in the same run). FILE is only read;
without one, a file of 256 MiB is made under $TMPDIR and removed again. Options go to nixl-demo.
TEXT
    exit 0
fi

file= value=no
options=()
for argument in "$@"; do
    if [ "$value" = no ] && [ "${argument#-}" = "$argument" ] && [ -z "$file" ]; then
        file=$(realpath -e -- "$argument") || exit 1
        continue
    fi
    options+=("$argument")
    value=no
    [ "$argument" != --window ] || value=yes # the next argument belongs to it
done
"$root/scripts/setup.sh"
"$root/scripts/build.sh"
if [ -z "$file" ]; then
    folder=$(mktemp -d "${TMPDIR:-/tmp}/nixl-demo.XXXXXX")
    trap 'rm -rf "$folder"' EXIT
    file=$folder/input
    echo "demo: no file given, making one of 256 MiB"
    head -c 268435456 /dev/urandom >"$file"
fi
"$root/build/tools/nixl-demo" "$file" "${options[@]}"
