// SPDX-License-Identifier: Apache-2.0
// The list of built-in backends. A new one is one line here and its folder's files in meson.build.
#include "backends/builtin.h"

namespace nixl::core {
namespace {

constexpr Builtin BUILTINS[] = {
    {"null", nixl_backend_entry_null},
    {"memcpy", nixl_backend_entry_memcpy},
    {"posix", nixl_backend_entry_posix},
    {"cuda", nixl_backend_entry_cuda},
};

} // namespace

std::span<const Builtin> builtin_backends() noexcept { return BUILTINS; }

} // namespace nixl::core
