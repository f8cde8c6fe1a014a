// SPDX-License-Identifier: Apache-2.0
// Bounded host memory that composed routes and backends pass data through. Kept for reuse until
// trimmed.
#pragma once

#include <map>
#include <tuple>
#include <vector>

#include "base/annotations.h"
#include "memory/region_table.h"

namespace nixl::core {

/// Threads: any thread.
class StagingPool {
  public:
    StagingPool(RegionTable& regions, uint64_t limit_bytes)
        : regions_(regions), limit_bytes_(limit_bytes) {}
    ~StagingPool() { (void)trim(); }

    /// A registered block of `bytes` of kind HOST or PINNED (its role is STAGING). `hit`: it was
    /// cached. Blocks that are only cached give way to it.
    /// Errors: AGAIN so much is lent that the limit would be passed; NO_MEMORY it never fits.
    Result<Region*> take(uint64_t bytes, uint32_t kind, bool* hit) EXCLUDES(mutex_);
    /// Whether `blocks` of `bytes` each can ever be lent together.
    [[nodiscard]] bool fits(uint64_t bytes, uint32_t blocks) const EXCLUDES(mutex_);
    void give(Region& region) EXCLUDES(mutex_);
    /// Frees cached blocks; returns their bytes.
    uint64_t trim() EXCLUDES(mutex_);

    /// The same for backends, by address.
    void* take_memory(uint64_t bytes, uint32_t kind);
    void give_memory(void* address);

    [[nodiscard]] uint64_t bytes() const EXCLUDES(mutex_);
    void set_limit(uint64_t bytes) EXCLUDES(mutex_);

  private:
    /// What is cached is found by. Backends must not get, nor free, what the program's allocators
    /// gave: see RegionTable::Use.
    struct Sort {
        uint64_t bytes;
        uint32_t kind;
        bool from_program;
        bool operator<(const Sort& other) const noexcept {
            return std::tie(bytes, kind, from_program) <
                   std::tie(other.bytes, other.kind, other.from_program);
        }
    };
    using Block = std::pair<const Sort, nixl_buffer>;

    Result<Region*> take_for(RegionTable::Use use, uint64_t bytes, uint32_t kind, bool* hit)
        EXCLUDES(mutex_);
    [[nodiscard]] Region* take_cached(RegionTable::Use use, uint64_t bytes, uint32_t kind)
        REQUIRES(mutex_);
    void evict(RegionTable::Use use, uint64_t wanted) EXCLUDES(mutex_);
    /// Frees blocks that are in no table any more; returns their bytes.
    uint64_t release(const std::vector<Block>& blocks) EXCLUDES(mutex_);

    RegionTable& regions_;
    mutable Mutex mutex_;
    uint64_t limit_bytes_ GUARDED_BY(mutex_);
    uint64_t bytes_ GUARDED_BY(mutex_) = 0; // cached and lent
    std::multimap<Sort, nixl_buffer> cached_ GUARDED_BY(mutex_);
    std::map<void*, nixl_buffer> lent_ GUARDED_BY(mutex_); // take_memory() alone
};

} // namespace nixl::core
