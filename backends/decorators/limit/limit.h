// SPDX-License-Identifier: Apache-2.0
// Caps what a backend takes: elements in flight (limit.depth) and bytes per second
// (limit.bytes_per_second). 0 or absent: no cap. For tests of back-pressure and of slow links.
#pragma once

#include "backends/decorators/forward.h"

namespace nixl::core {

/// Never sleeps. While the rate is used up, submit() accepts nothing, wake() asks the core to offer
/// again, and arm() keeps the driver polling.
class LimitQueue : public ForwardQueue {
  public:
    static constexpr const char* NAME = "limit";
    static void adjust(const sdk::Host& host, nixl_caps* caps) noexcept;

    explicit LimitQueue(const ForwardTarget& target);

    uint64_t submit(const nixl_batch& batch) noexcept;
    uint32_t poll(nixl_completion* out, uint32_t capacity) noexcept;
    int arm() noexcept;
    nixl_status notify(nixl_peer_id peer, const void* message, uint64_t bytes,
                       uint64_t tag) noexcept;

  private:
    void refill() noexcept;
    uint64_t affordable(const nixl_batch& batch, uint64_t most) noexcept;

    const uint64_t depth_;
    const double bytes_per_ns_; // 0: no cap
    const double most_credit_bytes_;

    uint64_t in_flight_ = 0;
    double credit_bytes_; // may be negative: one element is never cut
    uint64_t refilled_ns_;
    uint64_t uncharged_ = 0; // elements of prepared lists, whose size shows when they complete
    bool starved_ = false;
};

} // namespace nixl::core
