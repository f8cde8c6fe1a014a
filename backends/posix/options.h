// SPDX-License-Identifier: Apache-2.0
// The settings of this backend, read once per probe() or open().
#pragma once

#include <cstdint>

#include <nixl/sdk/host.hpp>

#include "base/status.h"

namespace nixl::core::posix {

enum class EngineChoice : uint8_t { AUTO, IO_URING, THREADS };

struct Options {
    EngineChoice engine = EngineChoice::AUTO; ///< "posix.engine"
    uint32_t queue_depth_ops = 64;            ///< "posix.queue_depth", of one queue, in the kernel
    uint32_t threads = 8;                     ///< "posix.threads", of the thread engine
    uint64_t merge_bytes = 256u << 10;        ///< "posix.merge_bytes"; 0: one operation per element
    uint64_t pinned_bytes =
        64u << 20; ///< "posix.pinned_bytes": registered buffers per queue; 0: none

    /// Errors: INVALID_ARGUMENT naming the setting and what it accepts.
    static Result<Options> read(const sdk::Host& host);
};

inline constexpr uint32_t MAX_QUEUE_DEPTH_OPS = 4096;
inline constexpr uint32_t MAX_THREADS = 256;

// Longer elements come as several. Measured with direct reads and writes on a virtual disk: 256 KiB
// and 1 MiB reach the same rate once the queue is full, 4 MiB is slower at shallow depths and keeps
// a waiter longer from its first byte. See docs/decisions for the figures.
inline constexpr uint64_t MAX_ELEMENT_BYTES = 1u << 20;

} // namespace nixl::core::posix
