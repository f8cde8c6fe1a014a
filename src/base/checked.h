// SPDX-License-Identifier: Apache-2.0
// Arithmetic on sizes that come from outside. Everything here is about not wrapping round 2^64.
#pragma once

#include <cstdint>

namespace nixl::core {

[[nodiscard]] inline bool checked_add(uint64_t a, uint64_t b, uint64_t* sum) noexcept {
    return !__builtin_add_overflow(a, b, sum);
}

[[nodiscard]] inline bool checked_mul(uint64_t a, uint64_t b, uint64_t* product) noexcept {
    return !__builtin_mul_overflow(a, b, product);
}

/// Whether [offset, offset + length) lies in [0, bytes). Cannot wrap.
[[nodiscard]] inline bool in_range(uint64_t offset, uint64_t length, uint64_t bytes) noexcept {
    return offset <= bytes && length <= bytes - offset;
}

} // namespace nixl::core
