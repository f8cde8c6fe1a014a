// SPDX-License-Identifier: Apache-2.0
// Page-locked ranges of memory. The kernel counts no locks: one munlock() undoes all on a page, so
// what others have locked is left out.
#pragma once

#include <cstdint>
#include <set>
#include <utility>

#include "base/annotations.h"

namespace nixl::core {

/// Threads: any thread.
class LockedPages {
  public:
    /// Best effort, as it only avoids page faults while there is no GPU that needs it. True: it is
    /// locked, and unlock() of the same range must follow before the memory goes away.
    [[nodiscard]] bool lock(const void* address, uint64_t bytes) EXCLUDES(mutex_);
    void unlock(const void* address, uint64_t bytes) noexcept EXCLUDES(mutex_);

  private:
    using Pages = std::pair<uintptr_t, uintptr_t>; // [first byte, behind the last)
    static Pages pages_of(const void* address, uint64_t bytes) noexcept;

    Mutex mutex_; // held over the system calls, so that they come in this order
    std::multiset<Pages> ranges_ GUARDED_BY(mutex_);
};

} // namespace nixl::core
