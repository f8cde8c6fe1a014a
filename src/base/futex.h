// SPDX-License-Identifier: Apache-2.0
// Sleeping on a 32-bit word, with a timeout and with signals noticed, which std::atomic::wait
// lacks.
#pragma once

#include <atomic>
#include <cstdint>

namespace nixl::core {

enum class FutexResult : uint8_t { WOKEN, TIMED_OUT, INTERRUPTED };

/// Sleeps while `word` holds `expected`, at most timeout_ns (negative: no end). May wake without
/// cause.
FutexResult futex_wait(const std::atomic<uint32_t>& word, uint32_t expected,
                       int64_t timeout_ns) noexcept;
void futex_wake_all(const std::atomic<uint32_t>& word) noexcept;

} // namespace nixl::core
