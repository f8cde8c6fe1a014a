// SPDX-License-Identifier: Apache-2.0
// Faults on order: what goes wrong, and how many steps from now.
#pragma once

#include <optional>
#include <string_view>

#include "platform/cuda_calls.h"

namespace nixl::simcuda {

/// Guarded by the driver's mutex. Text: a comma list, each word at most once.
///   oom@N       the N-th allocation (device, managed, host, physical) fails with OUT_OF_MEMORY
///   register@N  the N-th host_register fails with OUT_OF_MEMORY, as under ulimit -l
///   pin@N       the N-th pin for GDRCopy fails, as where the BAR is full
///   copy@N      the N-th stream operation ends its context with LAUNCH_FAILED
///   lost@N      the N-th stream operation finds its device lost, ECC_UNCORRECTABLE
///   slow=US     each stream operation takes so many microseconds longer
/// Stream operations are copies, fills and kernels: what an engine posts to move bytes. Events,
/// waits and host functions are none.
class Faults {
  public:
    static std::optional<Faults> from(std::string_view text);

    core::cuda::CuResult on_allocation();
    core::cuda::CuResult on_registration();
    core::cuda::CuResult on_pin();
    core::cuda::CuResult on_operation();
    [[nodiscard]] long slow_us() const { return slow_us_; }

  private:
    bool take(std::string_view word);

    // Steps to go, 0: none.
    long allocation_ = 0, registration_ = 0, pin_ = 0, operation_ = 0, loss_ = 0;
    long slow_us_ = 0;
};

} // namespace nixl::simcuda
