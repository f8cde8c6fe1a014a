// SPDX-License-Identifier: Apache-2.0
// Backends around backends: each takes any table and gives one that does the same, and something
// more.
#pragma once

#include <span>

#include <nixl/backend.h>

namespace nixl::core {

/// `trace` logs every call of the data path and counts; `fault` injects seeded failures; `limit`
/// caps depth and rate. They are for tests and diagnosis and may be stacked. What `inner` does not
/// offer, the wrapped table does not offer either.
///
/// A wrapped name is prefixed: "fault:posix". Settings are "<decorator>.<name>", see each folder.
struct Decorator {
    const char* name;
    /// Copies *inner and fills *out as far as its struct_size reaches. INVALID_ARGUMENT when a
    /// function that every backend needs is missing; NO_MEMORY.
    nixl_status (*wrap)(const nixl_backend_v1* inner, nixl_backend_v1* out);
    /// Frees what wrap() made, after every instance of it is closed. *out is empty then.
    void (*release)(nixl_backend_v1* out);
};

[[nodiscard]] std::span<const Decorator> decorators() noexcept;

} // namespace nixl::core
