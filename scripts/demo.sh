#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The main job on one file: read it, move it through memory, write a second file, verify, compare.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

usage() {
    cat <<'TEXT'
usage: ./dev demo [FILE] [OPTION ...]

  --keep         leave the second file where it is
  --window SIZE  bytes that go through memory at a time (64MB)

Installs what is missing, builds, reads FILE through the posix backend, moves it to a GPU and back,
or where there is none through host buffers, into a second file and verifies the bytes.
NIXL_SIM_GPUS=2 simulates GPUs. Prints for each leg the path, GB/s and percent of
the raw baseline (plain system calls and memcpy, measured in the same run). FILE is only read;
without one, a file of 256 MiB is made under $TMPDIR and removed again. Options go to nixl-demo.
TEXT
}

refuse() {
    echo "demo: $1" >&2
    exit "${2:-2}"
}

# What is wrong is refused here, too: building takes minutes.
file= value=no
options=()
for argument in "$@"; do
    if [ "$value" = yes ]; then
        options+=("$argument")
        value=no
        continue
    fi
    case "$argument" in
    -h | --help) usage && exit 0 ;;
    --keep | --no-keep | --window=* | --version) options+=("$argument") ;;
    --window)
        options+=("$argument")
        value=yes # the next argument belongs to it
        ;;
    -*) refuse "there is no option $argument; ./dev demo --help lists them" ;;
    *)
        [ -z "$file" ] || refuse "\"$argument\" is one argument too many; one FILE is moved"
        file=$(realpath -e -- "$argument") || exit 1
        [ -f "$file" ] || refuse "$argument is no regular file" 1
        ;;
    esac
done
[ "$value" = no ] || refuse "--window needs a value: SIZE"
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
