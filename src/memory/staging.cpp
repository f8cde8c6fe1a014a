// SPDX-License-Identifier: Apache-2.0
#include "memory/staging.h"

#include <algorithm>
#include <iterator>

namespace nixl::core {

namespace {

constexpr uint64_t PAGE_BYTES = 4096;

uint64_t in_pages(uint64_t bytes) noexcept {
    return (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

nixl_buffer handle_of(const Region& region) noexcept {
    return {region.index, region.generation.load(std::memory_order_relaxed)};
}

} // namespace

Result<Region*> StagingPool::take(uint64_t wanted, uint32_t kind, bool* hit) {
    return take_for(RegionTable::Use::STAGING, wanted, kind, hit);
}

Result<Region*> StagingPool::take_for(RegionTable::Use use, uint64_t wanted, uint32_t kind,
                                      bool* hit) {
    const uint64_t bytes = in_pages(wanted);
    *hit = false;
    for (bool evicted = false;; evicted = true) {
        {
            const MutexLock lock(mutex_);
            if (Region* const region = take_cached(use, bytes, kind); region != nullptr) {
                *hit = true;
                return region;
            }
            if (bytes < wanted || bytes > limit_bytes_)
                return Error(Code::NO_MEMORY,
                             "staging memory: " + std::to_string(wanted) +
                                 " bytes are needed at once, pool_size allows " +
                                 std::to_string(limit_bytes_),
                             "raise pool_size, or lower chunk_size or pipeline_chunks");
            if (bytes_ <= limit_bytes_ - bytes) {
                bytes_ += bytes;
                break;
            }
            if (evicted || cached_.empty())
                return Error(Code::AGAIN,
                             "staging memory: " + std::to_string(bytes_) + " of " +
                                 std::to_string(limit_bytes_) + " bytes are in use, " +
                                 std::to_string(bytes) + " more are needed",
                             "wait for transfers to finish, or raise pool_size");
        }
        evict(use, bytes);
    }
    auto made = regions_.allocate(bytes, kind, -1, 0, use);
    if (!made.ok()) {
        const MutexLock lock(mutex_);
        bytes_ -= bytes;
        return std::move(made).error();
    }
    return regions_.find(made.value());
}

/// An exact fit alone: sizes are few (chunk sizes), and a larger block would be wasted.
Region* StagingPool::take_cached(RegionTable::Use use, uint64_t bytes, uint32_t kind) {
    for (const bool from_program : {true, false}) {
        if (from_program && use == RegionTable::Use::BACKEND)
            continue;
        if (const auto found = cached_.find({bytes, kind, from_program}); found != cached_.end()) {
            Region* const region = regions_.find(found->second);
            cached_.erase(found);
            return region;
        }
    }
    return nullptr;
}

bool StagingPool::fits(uint64_t bytes, uint32_t blocks) const {
    const MutexLock lock(mutex_);
    return bytes <= limit_bytes_ && in_pages(bytes) <= limit_bytes_ / blocks;
}

void StagingPool::give(Region& region) {
    const MutexLock lock(mutex_);
    cached_.emplace(Sort{region.bytes, region.kind_class.kind, region.given.allocator != nullptr},
                    handle_of(region));
}

/// Frees cached blocks, the largest first, until `wanted` bytes fit or none are left.
void StagingPool::evict(RegionTable::Use use, uint64_t wanted) {
    std::vector<Block> blocks;
    {
        const MutexLock lock(mutex_);
        uint64_t left = bytes_;
        for (auto at = cached_.end();
             at != cached_.begin() && left > limit_bytes_ - std::min(wanted, limit_bytes_);) {
            --at;
            if (at->first.from_program && use == RegionTable::Use::BACKEND)
                continue;
            left -= at->first.bytes;
            blocks.push_back(*at);
            at = cached_.erase(at);
        }
    }
    (void)release(blocks);
}

uint64_t StagingPool::trim() {
    std::vector<Block> blocks;
    {
        const MutexLock lock(mutex_);
        blocks = std::vector<Block>(cached_.begin(), cached_.end());
        cached_.clear();
    }
    return release(blocks);
}

uint64_t StagingPool::release(const std::vector<Block>& blocks) {
    uint64_t freed = 0;
    for (const auto& [block, buffer] : blocks) {
        const uint64_t bytes = block.bytes;
        const bool done = regions_.release_unused(buffer).ok(); // backends detach: without the lock
        const MutexLock lock(mutex_);
        if (done) {
            bytes_ -= bytes;
            freed += bytes;
        } else { // somebody with a stale handle is looking at it
            cached_.emplace(block, buffer);
        }
    }
    return freed;
}

void* StagingPool::take_memory(uint64_t bytes, uint32_t kind) {
    bool hit = false;
    auto region = take_for(RegionTable::Use::BACKEND, bytes, kind, &hit);
    if (!region.ok())
        return nullptr;
    void* address = region.value()->base();
    const MutexLock lock(mutex_);
    lent_.emplace(address, handle_of(*region.value()));
    return address;
}

void StagingPool::give_memory(void* address) {
    nixl_buffer buffer{};
    {
        const MutexLock lock(mutex_);
        const auto found = lent_.find(address);
        if (found == lent_.end())
            return;
        buffer = found->second;
        lent_.erase(found);
    }
    if (Region* region = regions_.find(buffer))
        give(*region);
}

uint64_t StagingPool::bytes() const {
    const MutexLock lock(mutex_);
    return bytes_;
}

void StagingPool::set_limit(uint64_t bytes) {
    const MutexLock lock(mutex_);
    limit_bytes_ = bytes;
}

} // namespace nixl::core
