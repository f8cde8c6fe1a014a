#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the packages that are missing, and only those. Debian 12 and Ubuntu 22.04 or later.
set -euo pipefail

build_packages=(git meson ninja-build cmake g++ python3 python3-dev pkg-config
    liburing-dev)
test_packages=(libgtest-dev clang-14 clang-format-14 fio valgrind python3-numpy python3-venv
    python3-pip ccache e2fsprogs util-linux binutils)
# What not every system has; a check that needs one says so where it is missing.
optional_packages=()
compat_packages=(g++-11 g++-aarch64-linux-gnu qemu-user)

usage() {
    cat <<'TEXT'
usage: ./dev setup [--test] [--compat] [--print]

Installs what building and the demo need. Installs nothing that is there already.

  --test     also what ./dev test needs (test framework, formatter, fio, valgrind, NumPy ...)
  --compat   also what ./dev compat needs (more compilers, emulator)
  --print    print the one command instead of running it
TEXT
}

packages=("${build_packages[@]}")
print_only=no
for argument in "$@"; do
    case "$argument" in
    --test) packages+=("${test_packages[@]}") optional_packages=(clang-19) ;;
    --compat) packages+=("${test_packages[@]}" "${compat_packages[@]}") ;;
    --print) print_only=yes ;;
    -h | --help) usage && exit 0 ;;
    *) echo "setup: unknown argument $argument" >&2 && usage >&2 && exit 2 ;;
    esac
done

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    echo "setup: this system has no apt-get; install the equivalents of:" >&2
    echo "  ${packages[*]}" >&2
    exit 1
fi

is_installed() {
    [ "$(dpkg-query -W -f '${Status}' "$1" 2>/dev/null || true)" = "install ok installed" ]
}
is_offered() { apt-cache show "$1" >/dev/null 2>&1; }

missing=()
for package in "${packages[@]}"; do
    is_installed "$package" || missing+=("$package")
done
for package in "${optional_packages[@]}"; do
    is_installed "$package" || ! is_offered "$package" || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
    echo "setup: nothing is missing"
    exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null && as_root=(sudo)
fi
install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive
    apt-get install -y --no-install-recommends "${missing[@]}")
if [ "$print_only" = yes ]; then
    echo "${install[*]}"
    exit 0
fi
if [ "$(id -u)" -ne 0 ] && [ ${#as_root[@]} -eq 0 ]; then
    # What the build cannot do without; the rest switches a feature on, or is for tests.
    if [ ${#packages[@]} -eq ${#build_packages[@]} ] &&
        command -v meson ninja g++ python3 >/dev/null &&
        [ "$(command -v meson ninja g++ python3 | wc -l)" -eq 4 ]; then
        echo "setup: neither root nor sudo here; going on without ${missing[*]}" >&2
        exit 0
    fi
    echo "setup: neither root nor sudo here; let somebody run:" >&2
    echo "  apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 1
fi
echo "setup: installing ${missing[*]}"
# Package lists of a fresh machine are empty or old; a failure shows up in the install right after.
"${as_root[@]}" apt-get update -q || echo "setup: apt-get update failed; using the old lists" >&2
for package in "${optional_packages[@]}"; do
    case " ${missing[*]} " in *" $package "*) continue ;; esac
    is_installed "$package" || ! is_offered "$package" || install+=("$package")
done
"${install[@]}"
