// SPDX-License-Identifier: Apache-2.0
#if NIXL_HAVE_IO_URING // else there is nothing to compile
#include "ring_tables.h"

#include <algorithm>
#include <vector>

#include "base/checked.h"

namespace nixl::core::posix {

RingTables::RingTables(io_uring& ring, uint64_t pinned_bytes_limit) noexcept
    : ring_(ring), pinned_bytes_left_(pinned_bytes_limit) {
    std::array<int, FILE_SLOTS> no_files;
    no_files.fill(-1);
    has_files_ = io_uring_register_files(&ring_, no_files.data(), FILE_SLOTS) == 0;
    if (pinned_bytes_limit == 0)
        return;
    const std::array<iovec, BUFFER_SLOTS> no_buffers{};
    const std::array<__u64, BUFFER_SLOTS> no_tags{};
    has_buffers_ = io_uring_register_buffers_tags(&ring_, no_buffers.data(), no_tags.data(),
                                                  BUFFER_SLOTS) == 0;
}

void RingTables::add_files(const Region& region) noexcept {
    if (!has_files_ || !region.is_storage || region.file_slot == NO_SLOT)
        return;
    const int fds[2] = {region.cached_fd, region.direct_fd};
    // relaxed: the core orders attach() before any submit() that names the region.
    const bool done = io_uring_register_files_update(&ring_, region.file_slot, fds, 2) == 2;
    files_[region.file_slot].store(done, std::memory_order_relaxed);
}

void RingTables::remove(const Region& region) noexcept {
    if (region.file_slot != NO_SLOT && files_[region.file_slot].exchange(false)) {
        const int fds[2] = {-1, -1};
        io_uring_register_files_update(&ring_, region.file_slot, fds, 2);
    }
    if (region.buffer_slot == NO_SLOT)
        return;
    Buffer& buffer = buffers_[region.buffer_slot];
    if (buffer.state.exchange(UNREGISTERED) == REGISTERED) {
        const iovec nothing = {};
        const __u64 no_tag = 0;
        io_uring_register_buffers_update_tag(&ring_, region.buffer_slot, &nothing, &no_tag, 1);
        pinned_bytes_left_.fetch_add(region.bytes);
    }
    buffer.moved_bytes = 0;
}

uint32_t RingTables::file_slot(const Operation& operation) const noexcept {
    const uint32_t slot = operation.storage->file_slot;
    if (slot == NO_SLOT || !files_[slot].load(std::memory_order_relaxed))
        return NO_SLOT;
    return slot + (operation.is_direct ? 1 : 0);
}

uint32_t RingTables::buffer_slot(const Operation& operation) noexcept {
    // Cached I/O copies and pins nothing; scattered operations have no fixed form in the kernels of
    // today.
    if (!operation.is_direct || operation.is_scattered || operation.memory == nullptr ||
        !has_buffers_)
        return NO_SLOT;
    const Region& region = *operation.memory;
    if (region.buffer_slot == NO_SLOT)
        return NO_SLOT;
    Buffer& buffer = buffers_[region.buffer_slot];
    const uint8_t state = buffer.state.load(std::memory_order_relaxed);
    if (state == REFUSED)
        return NO_SLOT;
    if (state == UNREGISTERED) {
        // Registering pins every page of the region once, an ordinary direct operation pins its own
        // each time. So after the region's size has been moved once, registering costs no more than
        // what was spent already, and everything after it is gained.
        buffer.moved_bytes += operation.call_bytes();
        if (buffer.moved_bytes <= region.bytes)
            return NO_SLOT;
        register_buffer(region, buffer);
        if (buffer.state.load(std::memory_order_relaxed) != REGISTERED)
            return NO_SLOT;
    }
    const auto start = reinterpret_cast<uintptr_t>(operation.vectors->iov_base);
    const auto base = reinterpret_cast<uintptr_t>(region.base);
    return start >= base && in_range(start - base, operation.call_bytes(), region.bytes)
               ? region.buffer_slot
               : NO_SLOT;
}

void RingTables::register_buffer(const Region& region, Buffer& buffer) noexcept {
    uint64_t left = pinned_bytes_left_.load();
    do {
        if (left < region.bytes) {
            buffer.moved_bytes = 0; // others may have given theirs back when it has earned it again
            return;
        }
    } while (!pinned_bytes_left_.compare_exchange_weak(left, left - region.bytes));
    const iovec whole = {region.base, region.bytes};
    const __u64 no_tag = 0;
    const int result =
        io_uring_register_buffers_update_tag(&ring_, region.buffer_slot, &whole, &no_tag, 1);
    if (result == 1) {
        buffer.state = REGISTERED;
        return;
    }
    pinned_bytes_left_.fetch_add(region.bytes);
    buffer.state = REFUSED;
    refusal_.store(result < 0 ? -result : 0, std::memory_order_relaxed);
}

} // namespace nixl::core::posix

#endif // NIXL_HAVE_IO_URING
