// SPDX-License-Identifier: Apache-2.0
// The clock that everything is timed with.
#pragma once

#include <chrono>
#include <cstdint>

namespace nixl::tools {

inline std::uint64_t now_ns() {
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                          std::chrono::steady_clock::now().time_since_epoch())
                                          .count());
}

} // namespace nixl::tools
