#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds and unit-tests with the oldest Meson, other compilers, and for aarch64 under emulation.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

meson_version=0.61.5
work=$PWD/build-compat
variants=(g++-11 clang-14 aarch64)

usage() {
    cat <<TEXT
usage: ./dev compat [VARIANT ...]

Builds with Meson $meson_version, installed into build-compat/, and runs the unit tests.
Variants: ${variants[*]} (default: all).
TEXT
}

install_meson() {
    if [ ! -x "$work/venv/bin/meson" ]; then
        python3 -m venv "$work/venv"
        "$work/venv/bin/pip" install --quiet "meson==$meson_version"
    fi
    [ "$("$work/venv/bin/meson" --version)" = "$meson_version" ]
}

# GoogleTest for the other architecture, from the sources that Debian ships.
cross_gtest() {
    local out=$work/aarch64-gtest source=/usr/src/googletest/googletest
    if [ ! -f "$out/lib/pkgconfig/gtest_main.pc" ]; then
        mkdir -p "$out/lib/pkgconfig"
        local name flags=(-std=c++17 -O1 -pthread -I"$source/include" -I"$source" -c)
        aarch64-linux-gnu-g++ "${flags[@]}" "$source/src/gtest-all.cc" -o "$out/gtest.o"
        aarch64-linux-gnu-g++ "${flags[@]}" "$source/src/gtest_main.cc" -o "$out/gtest_main.o"
        for name in gtest gtest_main; do
            aarch64-linux-gnu-ar rcs "$out/lib/lib$name.a" "$out/$name.o"
            {
                printf 'Name: %s\nDescription: for the emulated tests\n' "$name"
                printf 'Version: 1.12.1\nCflags: -isystem %s/include -pthread\n' "$source"
                [ "$name" = gtest ] || echo "Requires: gtest"
                printf 'Libs: -L%s/lib -l%s -pthread\n' "$out" "$name"
            } >"$out/lib/pkgconfig/$name.pc"
        done
    fi
    printf "[properties]\npkg_config_libdir = '%s/lib/pkgconfig'\n" "$out" \
        >"$work/aarch64-gtest.ini"
}

run_variant() {
    local variant=$1 folder=$work/$1 options=(-Dtests=enabled)
    case "$variant" in
    g++-11) export CC=gcc-11 CXX=g++-11 ;;
    clang-14) export CC=clang-14 CXX=clang++-14 ;;
    aarch64)
        unset CC CXX
        cross_gtest
        options+=(--cross-file scripts/cross/aarch64.ini --cross-file "$work/aarch64-gtest.ini"
            -Dpython=disabled)
        ;;
    esac
    rm -rf "$folder"
    "$work/venv/bin/meson" setup "$folder" -Dwerror=true "${options[@]}"
    ninja -C "$folder"
    # Emulation is slow, and the limits are for real machines.
    "$work/venv/bin/meson" test -C "$folder" --suite unit --no-rebuild --print-errorlogs \
        --timeout-multiplier 10
}

for argument in "$@"; do
    case "$argument" in
    -h | --help) usage && exit 0 ;;
    g++-11 | clang-14 | aarch64) ;;
    *) echo "compat: unknown variant $argument" >&2 && usage >&2 && exit 2 ;;
    esac
done
[ $# -eq 0 ] || variants=("$@")
scripts/setup.sh --compat
mkdir -p "$work"
install_meson || { echo "compat: Meson $meson_version cannot be installed" >&2 && exit 1; }

passed=0 failed=0
for variant in "${variants[@]}"; do
    begin=$SECONDS
    # In a process of its own: set -e does not hold in a function whose result is asked for.
    if work=$work bash -c "set -euo pipefail; $(declare -f run_variant cross_gtest)
        run_variant '$variant'" >"$work/$variant.log" 2>&1; then
        echo "ok   $variant ($((SECONDS - begin)) s)"
        passed=$((passed + 1))
    else
        echo "FAIL $variant ($((SECONDS - begin)) s), log in build-compat/$variant.log"
        tail -n 30 "$work/$variant.log" | sed 's/^/     | /'
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
