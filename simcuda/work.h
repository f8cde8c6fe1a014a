// SPDX-License-Identifier: Apache-2.0
// An operation that runs: how it reaches memory.
#pragma once

#include <cstddef>
#include <set>

#include "driver.h"

namespace nixl::simcuda {

/// Who touches memory: copy engines reach other GPUs without peer access, kernels do not.
enum class Engine { COPY, KERNEL };

/// Threads: the stream's, without the driver's mutex.
class Work {
  public:
    Work(Driver& driver, Gpu& gpu) : driver_(driver), gpu_(gpu) {}
    ~Work();
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;

    /// Where the bytes can be touched until the work ends; nullptr when this GPU may not.
    std::byte* reach(core::cuda::Address address, size_t bytes, bool writes, Engine engine);

  private:
    [[nodiscard]] bool may_touch(const Range& range, bool writes, Engine engine) const;

    Driver& driver_;
    Gpu& gpu_;
    std::set<Range*> used_;
};

} // namespace nixl::simcuda
