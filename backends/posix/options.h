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
    uint32_t queue_depth_ops = 128;           ///< "posix.queue_depth": operations of one queue
    uint32_t threads = 8;                     ///< "posix.threads": most that block in calls
    uint64_t merge_bytes = 256u << 10;        ///< "posix.merge_bytes"; 0: one operation per element
    uint64_t pinned_bytes =
        64u << 20; ///< "posix.pinned_bytes": registered buffers per queue; 0: none

    /// Errors: INVALID_ARGUMENT naming the setting and what it accepts.
    static Result<Options> read(const sdk::Host& host);
};

inline constexpr uint32_t MAX_QUEUE_DEPTH_OPS = 4096;
inline constexpr uint32_t MIN_THREADS = 2; // one for what hangs, one for the rest
inline constexpr uint32_t MAX_THREADS = 256;

// The core splits longer elements. Direct sequential reads with a full queue on a virtual disk: 256
// KiB 0.98 GB/s, 1 MiB 1.66, 4 MiB 1.35 (single runs, the disk varies by half). A cached read of
// 1 MiB is copied by the submitting thread in about 100 us, and 4 MiB would keep it four times as
// long.
inline constexpr uint64_t MAX_ELEMENT_BYTES = 1u << 20;

} // namespace nixl::core::posix
