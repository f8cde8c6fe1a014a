// SPDX-License-Identifier: Apache-2.0
// All regions of a context: making them from memory, files and devices, registering them with
// backends, and taking them apart when nothing uses them.
#pragma once

#include <functional>
#include <string>

#include "memory/allocators.h"
#include "memory/device_memory.h"
#include "memory/locked_pages.h"
#include "memory/region.h"

namespace nixl::core {

struct FileOptions {
    std::string path;
    uint32_t kind = NIXL_KIND_FILE;
    uint64_t offset = 0;
    uint64_t bytes = 0; ///< 0: to the end of what is there
    uint32_t flags = 0; ///< NIXL_BUFFER_*
};

/// A part of a pool's memory that is taken, and how to give it back.
struct Cut {
    Region* whole = nullptr;
    Pool* pool = nullptr;
    uint32_t extent = 0;
    uintptr_t address = 0;
};

/// Threads: any thread.
class RegionTable {
  public:
    RegionTable(const BackendRegistry& registry, DeviceMemory& gpus)
        : registry_(registry), gpus_(gpus), slots_(MAX_REGIONS) {}
    ~RegionTable() { detach_all(); }

    static constexpr uint32_t MAX_REGIONS = 1u << 20;

    Result<nixl_buffer> wrap(void* address, uint64_t bytes, uint32_t kind, int32_t device,
                             uint32_t flags);
    /// Whom new memory is for: users get it cleared. Backends may ask on threads on which the
    /// program's allocators must not run.
    enum class Use { USER, POOL, STAGING, BACKEND };
    Result<nixl_buffer> allocate(uint64_t bytes, uint32_t kind, int32_t device, uint32_t flags,
                                 Use use = Use::USER);
    [[nodiscard]] Allocators& allocators() noexcept { return allocators_; }
    Result<nixl_buffer> open_storage(const FileOptions& options);
    /// A part of a region that lives longer, given back to its pool when it is released. It has
    /// registrations of its own with transports alone: peers would get the whole.
    Result<nixl_buffer> cut(const Cut& cut, uint64_t bytes);
    /// An imported region of a peer with its registrations, which it owns from here on when OK.
    Result<nixl_buffer> add_remote(const RegionClass& kind_class, uint64_t bytes, uint32_t flags,
                                   nixl_peer peer, nixl_peer_id peer_id,
                                   const std::vector<std::pair<uint32_t, void*>>& registrations);

    [[nodiscard]] Region* find(nixl_buffer buffer) noexcept {
        return slots_.find(buffer.index, buffer.generation);
    }

    /// Registers the region with the backend unless it is already. `hit` tells which.
    Result<void> ensure_registered(Region& region, Backend& backend, bool* hit);

    /// The same memory as PINNED, as zero-copy paths need it; goes with the region. Of a part of a
    /// pool it is that of the pool, so that pages are locked once.
    Result<Region*> locked_twin(Region& region) EXCLUDES(registering_);

    /// Frees a region that nothing uses. BUSY otherwise, and it stays as it was. `settle` returns
    /// when the turns of lanes that were going on are over; see Region::usable().
    Result<void> release(nixl_buffer buffer, const std::function<void()>& settle);
    /// The same for a region that no request was ever given.
    Result<void> release_unused(nixl_buffer buffer) {
        return release(buffer, [] {});
    }
    /// The same for one whose handle nobody was ever given.
    void release_own(Region& region) noexcept;
    /// Takes every region apart, before the backends are closed.
    void detach_all() noexcept;
    /// Takes it apart without unmapping, detaching or closing: operations may still touch it.
    void quarantine(Region& region) noexcept;

    template <typename Visit> void for_each(Visit visit) {
        for (uint32_t i = 0; i < slots_.size(); ++i)
            if (Region& region = slots_.at(i); region.live())
                visit(region);
    }

  private:
    Result<Region*> take();
    /// Takes a slot and fills it; nobody sees it before publish().
    Result<Region*> describe_memory(void* address, uint64_t bytes, uint32_t kind, int32_t device,
                                    uint32_t flags);
    /// Out of an allocator of the program.
    Result<nixl_buffer> allocate_from(const Allocator& allocator, uint64_t bytes, uint32_t kind,
                                      int32_t device, uint32_t flags, Use use);
    Result<nixl_buffer> allocate_on_gpu(uint64_t bytes, uint32_t kind, int32_t device,
                                        uint32_t flags, Use use);
    nixl_buffer publish(Region& region) noexcept;
    void take_apart(Region& region) noexcept;
    void end(Region& region) noexcept; ///< ... and gives its slot back

    const BackendRegistry& registry_;
    DeviceMemory& gpus_;
    Allocators allocators_;
    SlotMap<Region> slots_;
    LockedPages locked_;
    Mutex registering_; // one registration at a time per context; attach() itself may block
};

/// A region that cannot be freed meanwhile: freeing it answers BUSY.
class UsedRegion {
  public:
    UsedRegion(RegionTable& regions, nixl_buffer buffer) noexcept : region_(regions.find(buffer)) {
        if (region_ != nullptr && !region_->add_user(buffer.generation))
            region_ = nullptr;
    }
    ~UsedRegion() {
        if (region_ != nullptr)
            region_->remove_user();
    }
    UsedRegion(const UsedRegion&) = delete;
    UsedRegion& operator=(const UsedRegion&) = delete;

    explicit operator bool() const noexcept { return region_ != nullptr; }
    Region& operator*() const noexcept { return *region_; }
    Region* operator->() const noexcept { return region_; }

  private:
    Region* region_;
};

} // namespace nixl::core
