// SPDX-License-Identifier: Apache-2.0
// What attach() keeps of a region: a range of host memory, or an open file or block device.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include <nixl/backend.h>

#include "base/descriptor.h"
#include "base/status.h"
#include "strand.h"
#include "thread_pool.h"
#include "write_phase.h"

namespace nixl::core::posix {

inline constexpr uint32_t NO_SLOT = UINT32_MAX;

struct Region;

/// What all regions of one file share.
struct File {
    WritePhase writes;
    Strand turns;                 ///< see Region::writes_in_turn
    ThreadPool::Group threads{2}; ///< its outer one is the device's, which leaves one to others
    uint32_t regions = 0;         ///< the instance's
    uint32_t written_regions = 0; ///< of those, the ones that may be written
};

/// Who has to hear of a region's end.
class RegionOwner {
  public:
    virtual void detach(const Region& region) noexcept = 0;
    /// An element of a DIRECT region goes through the page cache; `first`: for this cause.
    virtual void went_cached(const Region& region, bool for_memory, bool first) noexcept = 0;

  protected:
    ~RegionOwner() = default;
};

/// Threads: immutable after attach(), the mutable ones excepted.
struct Region {
    Region() = default;
    Region(const Region&) = delete;
    Region& operator=(const Region&) = delete;
    ~Region() {
        if (owner != nullptr)
            owner->detach(*this);
    }

    RegionOwner* owner = nullptr;
    bool is_storage = false;

    // Memory.
    std::byte* base = nullptr;
    uint64_t bytes = 0;
    uint32_t buffer_slot = NO_SLOT; ///< its number in the rings' tables of registered buffers

    // Storage.
    std::string name;         ///< for people
    uint64_t file_offset = 0; ///< of the region's first byte
    int cached_fd = -1;
    int direct_fd = -1; ///< -1: the region is not DIRECT, or the file cannot do it
    /// Its writes through the page cache go to one thread, one after the other: the kernel takes
    /// them one at a time anyway, and threads of its own, or of ours, that wait for each other cost
    /// more than the writes (decision 9).
    bool writes_in_turn = false;
    uint32_t direct_offset_align_bytes = 0;
    uint32_t direct_memory_align_bytes = 0;
    uint32_t file_slot =
        NO_SLOT;          ///< cached_fd in the rings' file tables; direct_fd is the next one
    File* file = nullptr; ///< owned by the instance
    mutable std::atomic<bool> told_of_offsets{false}, told_of_memory{false}; ///< tell_cached()
    mutable std::atomic<uint64_t> known_writable_bytes{0};                   ///< see may_write_at()
    mutable std::atomic<uint64_t> known_file_bytes{0}; ///< the size when it was last looked at

    /// Set when the region asked for DIRECT and does not get it: the reason, for people.
    std::string not_direct;

    /// Whether this piece may go through direct_fd: aligned, and not a read across the end of the
    /// file. The kernel would clear all the memory behind the end, and a short read is to touch no
    /// more than its prefix. (It still does when the file shrank after its size was looked at.)
    [[nodiscard]] bool may_go_direct(uint64_t offset, uint64_t length, const void* memory,
                                     bool is_write) const noexcept {
        return direct_fd >= 0 && ((offset | length) & (direct_offset_align_bytes - 1)) == 0 &&
               (reinterpret_cast<uintptr_t>(memory) & (direct_memory_align_bytes - 1)) == 0 &&
               (is_write || offset + length <= known_file_bytes.load(std::memory_order_relaxed) ||
                grew_to(offset + length));
    }

    /// Tells and counts that an element cannot go through direct_fd, once per region and cause as a
    /// WARN, as long as its owner may. Not for the end of a file, which nobody can align.
    void tell_cached(uint64_t offset, uint64_t length, const void* memory) const noexcept;

    /// Whether a write may start there. At or behind the limit on file sizes (RLIMIT_FSIZE) the
    /// kernel would raise SIGXFSZ in the thread that submits it.
    [[nodiscard]] bool may_write_at(uint64_t offset) const noexcept {
        // relaxed: a number that stands alone.
        return offset < known_writable_bytes.load(std::memory_order_relaxed) ||
               is_below_limit(offset);
    }

    /// Errors: INVALID_ARGUMENT no descriptor; UNSUPPORTED neither memory, regular file nor block
    /// device.
    Result<void> attach(const nixl_region_desc& desc);
    /// Writes to storage are durable when it returns.
    Result<void> flush() const;

    /// What tells files apart, however they were opened: device and number.
    [[nodiscard]] std::pair<uint64_t, uint64_t> file_identity() const noexcept { return identity_; }

  private:
    Descriptor reopened_cached_; // only where the core's descriptor is itself O_DIRECT
    Descriptor reopened_direct_;
    std::pair<uint64_t, uint64_t> identity_;

    bool grew_to(uint64_t end) const noexcept;
    bool is_below_limit(uint64_t offset) const noexcept;
    Result<void> attach_storage(const nixl_region_desc& desc);
    void open_direct(const nixl_region_desc& desc, int status_flags, bool is_block);
};

} // namespace nixl::core::posix
