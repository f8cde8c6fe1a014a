// SPDX-License-Identifier: Apache-2.0
// HOT
// One registered range of memory or storage, and the count of operations that use it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include <nixl/backend.h>
#include <nixl/nixl_c.h>

#include "base/descriptor.h"
#include "base/slot_map.h"
#include "plugin/registry.h"

namespace nixl::core {

/// "host", "file"; "unknown" for what is no kind.
[[nodiscard]] const char* kind_name(uint32_t kind) noexcept;

/// What the router needs to know of a region. Regions of one class take the same routes.
struct RegionClass {
    uint32_t kind = NIXL_KIND_NONE;
    int32_t device = -1;
    uint32_t peer_backends = 0; ///< bit per backend that reaches it; 0: it is this process's own

    [[nodiscard]] bool remote() const noexcept { return peer_backends != 0; }
    bool operator==(const RegionClass&) const = default;
};

class Allocator;
class Pool;

/// One slot of the table of regions.
///
/// Threads: any thread for users and registrations; the description is immutable while the
/// generation lives.
class Region : public Slot {
  public:
    /// Counts one more user. False when the handle is stale or the region is being freed.
    [[nodiscard]] bool add_user(uint32_t wanted_generation) noexcept {
        // Add, then check, else undo: the freeing side sets `closing` first and then looks for
        // users, so one of the two sees the other (both sequentially consistent).
        const uint64_t before = word_.fetch_add(1);
        if ((before >> 31) == (static_cast<uint64_t>(wanted_generation) << 1))
            return true;
        word_.fetch_sub(1);
        return false;
    }

    /// Whether it may be used, for a driver in its turn: freeing sets `closing` and then waits for
    /// the turns that were going on, so a turn that saw none may use the region until it ends, and
    /// keep_user() for what goes on after it.
    [[nodiscard]] bool usable(uint32_t wanted_generation) const noexcept {
        return (word_.load() >> 31) == (static_cast<uint64_t>(wanted_generation) << 1);
    }
    void keep_user() noexcept { word_.fetch_add(1, std::memory_order_relaxed); }

    void remove_user() noexcept { word_.fetch_sub(1, std::memory_order_release); }

    [[nodiscard]] uint32_t users() const noexcept {
        return static_cast<uint32_t>(word_.load(std::memory_order_acquire) & USERS);
    }

    /// Refuses new users from here on. False when it is another generation's by now, or somebody
    /// else is closing it.
    [[nodiscard]] bool start_closing(uint32_t wanted_generation) noexcept {
        uint64_t before = word_.load();
        do {
            if ((before >> 31) != (static_cast<uint64_t>(wanted_generation) << 1))
                return false;
        } while (!word_.compare_exchange_weak(before, before | CLOSING));
        return true;
    }
    void stop_closing() noexcept { word_.fetch_and(~CLOSING); }

    /// Opens the word for the slot's present generation. The user count is kept: a thread with a
    /// stale handle may be between adding itself and undoing it.
    void open_word() noexcept {
        const uint64_t fresh = static_cast<uint64_t>(generation.load(std::memory_order_relaxed))
                               << 32;
        uint64_t before = word_.load(std::memory_order_relaxed);
        while (!word_.compare_exchange_weak(before, fresh | (before & USERS))) {}
    }
    void close_word() noexcept { word_.fetch_and(USERS); }
    /// Whether it is published and not taken apart; for walking over the table.
    [[nodiscard]] bool live() const noexcept { return (word_.load() >> 32) != 0; }

    /// The backend's registration, if it has one: acquire pairs with set_registration().
    [[nodiscard]] bool registered(uint32_t backend) const noexcept {
        return (registered_mask_.load(std::memory_order_acquire) >> backend & 1) != 0;
    }
    [[nodiscard]] void* registration(uint32_t backend) const noexcept {
        return registrations_[backend];
    }
    void set_registration(uint32_t backend, void* registration) noexcept {
        registrations_[backend] = registration;
        registered_mask_.fetch_or(1u << backend, std::memory_order_release);
    }
    void clear_registration(uint32_t backend) noexcept {
        registered_mask_.fetch_and(~(1u << backend), std::memory_order_release);
        registrations_[backend] = nullptr;
    }

    [[nodiscard]] void* base() const noexcept {
        return kind_class.remote() ? nullptr : reinterpret_cast<void*>(memory_address);
    }
    [[nodiscard]] bool storage() const noexcept { return kind_class.kind >= NIXL_KIND_FILE; }
    [[nodiscard]] bool read_only() const noexcept { return (flags & NIXL_BUFFER_READ_ONLY) != 0; }

    RegionClass kind_class;
    uint32_t class_number = 0; ///< of the router
    uint32_t flags = 0;        ///< NIXL_BUFFER_*
    uint32_t region_flags = 0; ///< NIXL_REGION_*, for backends
    uint64_t bytes = 0;
    uintptr_t memory_address = 0; ///< 0 for storage and for peers' memory
    uint64_t file_offset = 0;
    nixl_peer peer{};
    nixl_peer_id peer_id = 0; ///< the number by which backends know the peer; 0: there is none
    /// Whose it is: a user's buffer, or a part of the library's own workings.
    enum class Role : uint8_t { BUFFER, POOL, STAGING, TWIN };
    Role role = Role::BUFFER;

    Region* locked_twin = nullptr; ///< see RegionTable::locked_twin()

    // Of a buffer that was cut out of a pool.
    Region* whole = nullptr; ///< the pool's memory; its registrations serve both
    Pool* pool = nullptr;
    uint32_t extent = 0; ///< of the pool

    // What the library owns of it.
    Descriptor descriptor; ///< file, device or memfd
    Mapping mapping;
    std::string path;    // allow(hot): the control path's
    bool locked = false; ///< mlock() is to be undone
    bool on_gpu = false; ///< the GPU's memory is to be given back
    /// Memory of an allocator of the program, as it goes back.
    struct Given {
        const Allocator* allocator = nullptr;
        void* address = nullptr;
        uint64_t bytes = 0;
    } given;

  private:
    static constexpr uint64_t USERS = 0x7fff'ffff;
    static constexpr uint64_t CLOSING = 0x8000'0000;

    std::atomic<uint64_t> word_{0}; // {generation:32, closing:1, users:31}
    std::atomic<uint32_t> registered_mask_{0};
    std::array<void*, MAX_BACKENDS> registrations_{};
};

} // namespace nixl::core
