// SPDX-License-Identifier: Apache-2.0
// HOT
// What was moved, how long something was in flight, and how often caches helped. Costs one branch
// per transfer when it is off.
#pragma once

#include <atomic>
#include <cstdint>

#include <nixl/nixl_c.h>

#include "base/clock.h"

namespace nixl::core {

/// Threads: any thread. Counters are relaxed: they are read as a snapshot that need not be one
/// instant.
class Telemetry {
  public:
    [[nodiscard]] bool enabled() const noexcept { return enabled_.load(std::memory_order_relaxed); }
    void enable(bool on) noexcept { enabled_.store(on, std::memory_order_relaxed); }
    void reset() noexcept;
    void read(nixl_metrics& out) const noexcept;

    /// A transfer goes into flight; returns the time. Called when enabled.
    uint64_t started() noexcept;
    /// It came back, as posted with `started_ns` != 0.
    void finished(uint64_t now, uint64_t bytes, bool failed) noexcept;

    void staged(uint64_t bytes) noexcept { add(staged_bytes_, bytes); }
    void registration(bool hit) noexcept {
        add(registration_lookups_, 1);
        add(registration_hits_, hit ? 1 : 0);
    }
    void pool(bool hit) noexcept {
        add(pool_lookups_, 1);
        add(pool_hits_, hit ? 1 : 0);
    }
    void short_retry() noexcept { add(short_retries_, 1); }
    void abandoned(int32_t change) noexcept {
        abandoned_.fetch_add(static_cast<uint64_t>(static_cast<int64_t>(change)),
                             std::memory_order_relaxed);
    }

  private:
    using Counter = std::atomic<uint64_t>;
    static void add(Counter& counter, uint64_t value) noexcept {
        counter.fetch_add(value, std::memory_order_relaxed);
    }

    std::atomic<bool> enabled_{false};
    Counter transfers_{0}, failures_{0}, bytes_{0}, staged_bytes_{0};
    Counter registration_lookups_{0}, registration_hits_{0}, pool_lookups_{0}, pool_hits_{0};
    Counter abandoned_{0}, short_retries_{0};
    // Busy time is the union of the intervals with at least one transfer in flight.
    std::atomic<uint32_t> in_flight_{0};
    Counter busy_since_{0}, busy_ns_{0};
};

} // namespace nixl::core
