// SPDX-License-Identifier: Apache-2.0
// HOT. How bytes are copied: through the cache, or past it where the machine can and the work is
// large.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <nixl/sdk/op_cursor.hpp>

namespace nixl::core {

/// Copies past the cache. The ranges must not overlap. Needs a fence before another thread may
/// look.
using StreamFunction = void (*)(unsigned char* target, const unsigned char* source,
                                size_t bytes) noexcept;

/// The best one that this processor has; nullptr when it has none (then everything goes through the
/// cache).
[[nodiscard]] StreamFunction choose_stream_function() noexcept;

/// Makes the writes of a StreamFunction visible before whatever this thread writes next.
void stream_fence() noexcept;

/// From how many bytes in one go streaming is faster: the size at which source and target no longer
/// stay in the last-level cache together with what the caller does next.
[[nodiscard]] uint64_t default_stream_bytes() noexcept;

[[nodiscard]] inline bool overlaps(const unsigned char* target, const unsigned char* source,
                                   uint64_t bytes) noexcept {
    const auto a = reinterpret_cast<uintptr_t>(target);
    const auto b = reinterpret_cast<uintptr_t>(source);
    return (a > b ? a - b : b - a) < bytes;
}

/// Copies the next `count` elements, at least 1. `stream` may be null; if it is not, the caller
/// fences. Where source and target of one element overlap, the result is that of memmove.
void copy_elements(const sdk::OpCursor& cursor, uint64_t count, StreamFunction stream) noexcept;

/// Copies one range the same way.
inline void copy_range(unsigned char* target, const unsigned char* source, uint64_t bytes,
                       StreamFunction stream) noexcept {
    // Below this the head and the tail that streaming cannot take cost more than it saves.
    constexpr uint64_t LEAST_STREAMED_BYTES = 512;
    if (stream != nullptr && bytes >= LEAST_STREAMED_BYTES && !overlaps(target, source, bytes))
        stream(target, source, bytes);
    else
        std::memmove(target, source, bytes);
}

} // namespace nixl::core
