// SPDX-License-Identifier: Apache-2.0
#include "memory/pools.h"

#include <algorithm>
#include <bit>

namespace nixl::core {

namespace {

Error freed() { return Error(Code::STALE, "the pool was freed"); }

} // namespace

void Pool::open(Region& whole, Extents&& extents) {
    const MutexLock lock(mutex_);
    extents_.emplace(std::move(extents));
    figures_ = {};
    figures_.kind = whole.kind_class.kind;
    figures_.device = whole.kind_class.device;
    whole_ = &whole;
}

Result<Cut> Pool::take(uint32_t wanted_generation, uint64_t bytes, uint64_t alignment) {
    const MutexLock lock(mutex_);
    if (whole_ == nullptr || generation.load(std::memory_order_relaxed) != wanted_generation)
        return freed();
    const auto extent = extents_->take(bytes, alignment);
    if (!extent) {
        ++figures_.refusals;
        return exhausted(bytes, alignment);
    }
    ++figures_.allocations;
    ++figures_.buffers;
    figures_.peak_bytes = std::max(figures_.peak_bytes, extents_->used_bytes());
    return Cut{whole_, this, extent->number, extent->address};
}

Error Pool::exhausted(uint64_t bytes, uint64_t alignment) const {
    const uint64_t used = extents_->used_bytes(), all = extents_->bytes();
    std::string text = "the pool of " + std::to_string(all) + " bytes has no room for " +
                       std::to_string(bytes) + ": " + std::to_string(used) + " are used, " +
                       std::to_string(all - used) + " are free, at most " +
                       std::to_string(extents_->largest_free_bytes()) + " of them in one piece";
    if (alignment > Extents::UNIT_BYTES)
        text += " (aligned to " + std::to_string(alignment) + ")";
    return Error(Code::NO_MEMORY, std::move(text), "free buffers of the pool, or make it larger");
}

void Pool::give(uint32_t extent) noexcept {
    const MutexLock lock(mutex_);
    extents_->give(extent);
    --figures_.buffers;
}

void Pool::undo(uint32_t extent) noexcept {
    give(extent);
    const MutexLock lock(mutex_);
    --figures_.allocations;
}

Result<PoolFigures> Pool::figures(uint32_t wanted_generation) {
    const MutexLock lock(mutex_);
    if (whole_ == nullptr || generation.load(std::memory_order_relaxed) != wanted_generation)
        return freed();
    PoolFigures now = figures_;
    now.bytes = extents_->bytes();
    now.used_bytes = extents_->used_bytes();
    now.largest_free_bytes = extents_->largest_free_bytes();
    return now;
}

Result<Region*> Pool::close(uint32_t wanted_generation) {
    const MutexLock lock(mutex_);
    if (whole_ == nullptr || generation.load(std::memory_order_relaxed) != wanted_generation)
        return freed();
    if (figures_.buffers != 0)
        return Error(Code::BUSY,
                     "the pool still has " + std::to_string(figures_.buffers) + " buffer(s)",
                     "free its buffers first");
    Region* const whole = std::exchange(whole_, nullptr);
    SlotMap<Pool, 16>::retire(*this);
    return whole;
}

Result<nixl_pool> Pools::create(Region& whole) {
    if (whole.bytes < Extents::UNIT_BYTES)
        return Error(Code::INVALID_ARGUMENT,
                     "a pool of " + std::to_string(whole.bytes) + " bytes is too small",
                     "give it 256 bytes or more");
    Extents extents(whole.memory_address, whole.bytes); // throws before anything is taken
    Pool* const pool = slots_.take();
    if (pool == nullptr)
        return Error(Code::AGAIN, "all " + std::to_string(MAX_POOLS) + " pools are in use",
                     "free pools that are no longer needed");
    pool->open(whole, std::move(extents));
    return nixl_pool{pool->index, pool->generation.load(std::memory_order_relaxed)};
}

Result<Pool*> Pools::find(nixl_pool handle) {
    Pool* const pool = slots_.find(handle.index, handle.generation);
    if (pool == nullptr)
        return freed();
    return pool;
}

Result<nixl_buffer> Pools::allocate(nixl_pool handle, uint64_t bytes, uint64_t alignment) {
    if (bytes == 0)
        return Error(Code::INVALID_ARGUMENT, "cannot allocate 0 bytes",
                     "ask for at least one byte");
    if (alignment != 0 && !std::has_single_bit(alignment))
        return Error(Code::INVALID_ARGUMENT,
                     "an alignment is a power of two, not " + std::to_string(alignment));
    NIXL_ASSIGN_OR_RETURN(Pool * pool, find(handle));
    NIXL_ASSIGN_OR_RETURN(const Cut cut, pool->take(handle.generation, bytes,
                                                    std::max(alignment, Extents::UNIT_BYTES)));
    auto buffer = regions_.cut(cut, bytes);
    if (!buffer.ok())
        pool->undo(cut.extent);
    return buffer;
}

Result<PoolFigures> Pools::figures(nixl_pool handle) {
    NIXL_ASSIGN_OR_RETURN(Pool * pool, find(handle));
    return pool->figures(handle.generation);
}

Result<void> Pools::release(nixl_pool handle) {
    NIXL_ASSIGN_OR_RETURN(Pool * pool, find(handle));
    NIXL_ASSIGN_OR_RETURN(Region * whole, pool->close(handle.generation));
    slots_.give(*pool);
    regions_.release_own(*whole);
    return {};
}

} // namespace nixl::core
