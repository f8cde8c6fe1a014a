// SPDX-License-Identifier: Apache-2.0
// Pools: memory reserved once, out of which buffers are cut in less than a microsecond.
#pragma once

#include "base/annotations.h"
#include "memory/extents.h"
#include "memory/region_table.h"

namespace nixl::core {

/// What a pool has and what it was asked for.
struct PoolFigures {
    uint32_t kind = NIXL_KIND_NONE;
    int32_t device = -1;
    uint32_t buffers = 0; ///< that exist
    uint64_t bytes = 0, used_bytes = 0, peak_bytes = 0, largest_free_bytes = 0;
    uint64_t allocations = 0; ///< that were served
    uint64_t refusals = 0;
};

/// One slot of the table of pools.
class Pool : public Slot {
  public:
    /// `whole`: published, and of no user.
    void open(Region& whole, Extents&& extents) EXCLUDES(mutex_);
    Result<Cut> take(uint32_t generation, uint64_t bytes, uint64_t alignment) EXCLUDES(mutex_);
    void give(uint32_t extent) noexcept EXCLUDES(mutex_);
    /// As if take() had not been called.
    void undo(uint32_t extent) noexcept EXCLUDES(mutex_);
    Result<PoolFigures> figures(uint32_t generation) EXCLUDES(mutex_);
    /// From here on nothing is taken. BUSY while buffers of it exist.
    Result<Region*> close(uint32_t generation) EXCLUDES(mutex_);

  private:
    [[nodiscard]] Error exhausted(uint64_t bytes, uint64_t alignment) const REQUIRES(mutex_);

    Mutex mutex_;
    Region* whole_ GUARDED_BY(mutex_) = nullptr; ///< nullptr: the slot is free
    std::optional<Extents> extents_ GUARDED_BY(mutex_);
    PoolFigures figures_ GUARDED_BY(mutex_);
};

/// All pools of a context. They outlive the regions that were cut from them.
///
/// Threads: any thread.
class Pools {
  public:
    static constexpr uint32_t MAX_POOLS = 4096;

    explicit Pools(RegionTable& regions) : regions_(regions), slots_(MAX_POOLS) {}

    /// Makes a pool of a region of role POOL, which is its alone when OK.
    Result<nixl_pool> create(Region& whole);
    /// A buffer of at least `bytes` bytes; what is in it is what was left there. `alignment`: a
    /// power of two; 0 is 256.
    /// Errors: NO_MEMORY with what is used, free and the longest free piece; STALE; AGAIN.
    Result<nixl_buffer> allocate(nixl_pool pool, uint64_t bytes, uint64_t alignment);
    Result<PoolFigures> figures(nixl_pool pool);
    /// BUSY while buffers of it exist.
    Result<void> release(nixl_pool pool);

    template <typename Visit> void for_each(Visit visit) {
        for (uint32_t i = 0; i < slots_.size(); ++i) {
            Pool& pool = slots_.at(i);
            if (const auto figures = pool.figures(pool.generation.load()); figures.ok())
                visit(figures.value());
        }
    }

  private:
    Result<Pool*> find(nixl_pool pool);

    RegionTable& regions_;
    SlotMap<Pool, 16> slots_;
};

} // namespace nixl::core
