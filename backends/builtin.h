// SPDX-License-Identifier: Apache-2.0
// The backends that are part of the library. They use the same table as loaded plug-ins.
#pragma once

#include <span>

#include <nixl/backend.h>

extern "C" {
nixl_status nixl_backend_entry_null(const nixl_host_v1* host, nixl_backend_v1* out);
nixl_status nixl_backend_entry_memcpy(const nixl_host_v1* host, nixl_backend_v1* out);
nixl_status nixl_backend_entry_posix(const nixl_host_v1* host, nixl_backend_v1* out);
nixl_status nixl_backend_entry_cuda(const nixl_host_v1* host, nixl_backend_v1* out);
}

namespace nixl::core {

struct Builtin {
    const char* name;
    nixl_backend_entry_fn entry;
};

/// In the order in which they are opened and listed.
[[nodiscard]] std::span<const Builtin> builtin_backends() noexcept;

} // namespace nixl::core
