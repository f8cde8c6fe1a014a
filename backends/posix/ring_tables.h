// SPDX-License-Identifier: Apache-2.0
// The descriptors and buffers that one ring knows by number, which spares the kernel a look-up, or
// the pinning of pages, per operation.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include <liburing.h>

#include "flow.h"

namespace nixl::core::posix {

inline constexpr uint32_t FILE_SLOTS =
    256; // two per storage region; further regions go unregistered
inline constexpr uint32_t BUFFER_SLOTS = 256;

/// Threads: add_files() and remove() any thread while no operation names the region; the rest is
/// the queue's driver.
class RingTables {
  public:
    /// Both tables are optional: where the kernel refuses one, its entries go unregistered.
    RingTables(io_uring& ring, uint64_t pinned_bytes_limit) noexcept;

    void add_files(const Region& region) noexcept;
    void remove(const Region& region) noexcept;

    /// The registered number of the operation's descriptor, or NO_SLOT.
    [[nodiscard]] uint32_t file_slot(const Operation& operation) const noexcept;

    /// The registered buffer around the operation's memory, or NO_SLOT. Registers it when that
    /// pays.
    [[nodiscard]] uint32_t buffer_slot(const Operation& operation) noexcept;

    /// The errno of the last refusal to register a buffer; 0: none.
    [[nodiscard]] int refusal() const noexcept { return refusal_.load(std::memory_order_relaxed); }

  private:
    enum State : uint8_t { UNREGISTERED, REGISTERED, REFUSED };
    struct Buffer {
        std::atomic<uint8_t> state{UNREGISTERED};
        uint64_t moved_bytes = 0;
    };
    void register_buffer(const Region& region, Buffer& buffer) noexcept;

    io_uring& ring_;
    bool has_files_ = false, has_buffers_ = false;
    std::array<std::atomic<bool>, FILE_SLOTS> files_{};
    std::array<Buffer, BUFFER_SLOTS> buffers_{};
    std::atomic<uint64_t> pinned_bytes_left_;
    std::atomic<int> refusal_{0};
};

} // namespace nixl::core::posix
