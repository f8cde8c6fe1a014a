// SPDX-License-Identifier: Apache-2.0
// The one clock: monotonic nanoseconds. A read costs some 25 ns, so the data path asks only when
// needed.
#pragma once

#include <cstdint>
#include <ctime>

namespace nixl::core {

[[nodiscard]] inline uint64_t now_ns() noexcept {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

/// The time after which a wait ends: `timeout_ns` from now, never (0) when it is negative.
[[nodiscard]] inline uint64_t deadline_after(int64_t timeout_ns) noexcept {
    if (timeout_ns < 0)
        return 0;
    const uint64_t now = now_ns();
    const uint64_t end = now + static_cast<uint64_t>(timeout_ns);
    return end < now ? UINT64_MAX : end;
}

/// What is left until `deadline` (0: never) for a system call: negative means no end.
[[nodiscard]] inline int64_t remaining_ns(uint64_t deadline) noexcept {
    if (deadline == 0)
        return -1;
    const uint64_t now = now_ns();
    return deadline > now ? static_cast<int64_t>(deadline - now) : 0;
}

} // namespace nixl::core
