// SPDX-License-Identifier: Apache-2.0
// Logs every submit, completion and cancel at TRACE, and counts them. Slow on purpose: it formats
// text on the data path, so it is for finding out what happens and never on by default.
#pragma once

#include "backends/decorators/forward.h"

namespace nixl::core {

/// Counters: trace.<backend>.submits, .elements, .completed, .failed, .bytes, .cancels.
class TraceQueue : public ForwardQueue {
  public:
    static constexpr const char* NAME = "trace";

    explicit TraceQueue(const ForwardTarget& target);

    uint64_t submit(const nixl_batch& batch) noexcept;
    uint32_t poll(nixl_completion* out, uint32_t capacity) noexcept;
    void cancel(uint64_t tag) noexcept;

  private:
    uint32_t counter(const char* what) const;

    const uint32_t submits_, elements_, completed_, failed_, bytes_, cancels_;
};

} // namespace nixl::core
