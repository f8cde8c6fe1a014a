// SPDX-License-Identifier: Apache-2.0
// Host memory that the driver has page-locked, so that GPUs reach it without a copy.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/annotations.h"
#include "gpus.h"

namespace nixl::core::cuda {

/// Ranges are rounded to pages and counted: buffers that share pages share one registration, since
/// the driver refuses a page twice.
///
/// Threads: any thread.
class PinnedRanges {
  public:
    explicit PinnedRanges(Gpus& gpus) : gpus_(gpus) {}
    ~PinnedRanges();
    PinnedRanges(const PinnedRanges&) = delete;
    PinnedRanges& operator=(const PinnedRanges&) = delete;

    /// Returns the seams: where, inside the range, one registration ends and the next begins. The
    /// driver refuses a copy across. Nothing is registered where the program itself has page-locked
    /// all of it already.
    /// Errors: NO_MEMORY the limit of locked memory (`ulimit -l`); UNSUPPORTED a part of it is
    /// registered by others, so that it cannot be as a whole; the driver's.
    Result<std::vector<uintptr_t>> add(uintptr_t address, uint64_t bytes) EXCLUDES(mutex_);
    void remove(uintptr_t address, uint64_t bytes) noexcept EXCLUDES(mutex_);

  private:
    struct Range {
        uint64_t bytes;
        uint32_t users;
        bool is_ours; ///< else the program has page-locked it itself
    };
    using Ranges = std::map<uintptr_t, Range>; // disjoint, by first page

    Result<bool> lock(uintptr_t address, uint64_t bytes) const;
    void release(uintptr_t begin, uintptr_t end) noexcept REQUIRES(mutex_);

    Gpus& gpus_;
    Mutex mutex_; // held over the driver's registering, which takes milliseconds
    Ranges ranges_ GUARDED_BY(mutex_);
};

} // namespace nixl::core::cuda
