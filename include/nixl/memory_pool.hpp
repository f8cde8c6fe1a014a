// SPDX-License-Identifier: Apache-2.0
// Memory reserved once, out of which buffers are made and freed in less than a microsecond.
#pragma once

#include <nixl/buffer.hpp>

namespace nixl {

/// What a pool has and what it was asked for. Sizes in bytes.
struct PoolStats {
    std::uint64_t bytes = 0;
    std::uint64_t used = 0;         ///< in pieces of 256
    std::uint64_t peak = 0;         ///< the most that was used at one time
    std::uint64_t largest_free = 0; ///< in one piece
    std::uint32_t buffers = 0;      ///< that exist
    std::uint64_t allocations = 0;  ///< that were served
    std::uint64_t refusals = 0;     ///< for want of room

    /// 0: all that is free is one piece; towards 1: many small ones.
    [[nodiscard]] double fragmentation() const noexcept {
        const std::uint64_t free = bytes - used;
        return free == 0 ? 0.0
                         : 1.0 - static_cast<double>(largest_free) / static_cast<double>(free);
    }
    /// Share of the allocations that were served; 1 before the first.
    [[nodiscard]] double hit_rate() const noexcept {
        const std::uint64_t all = allocations + refusals;
        return all == 0 ? 1.0 : static_cast<double>(allocations) / static_cast<double>(all);
    }
};

/// A move-only owner of a pool. Buffers of it must be gone before it is: a destructor that finds
/// some leaves the memory to them, until finalize(), and says so.
///
/// Threads: any.
class MemoryPool {
  public:
    /// Memory of a GPU, or page-locked host memory where there is none.
    explicit MemoryPool(std::size_t bytes, nixl_context context = default_context())
        : MemoryPool(bytes, NIXL_KIND_NONE, -1, context) {}
    /// Memory of one kind: HOST, HOST_PINNED, DEVICE or MANAGED.
    MemoryPool(std::size_t bytes, MemoryType type, int device_id = 0,
               nixl_context context = default_context())
        : MemoryPool(bytes, Buffer::kind_of(type), Buffer::is_on_device(type) ? device_id : -1,
                     context) {}

    ~MemoryPool() { close_quietly(); }
    MemoryPool(MemoryPool&& other) noexcept
        : context_(other.context_), handle_(std::exchange(other.handle_, nixl_pool{})) {}
    MemoryPool& operator=(MemoryPool&& other) noexcept {
        if (this != &other) {
            close_quietly();
            context_ = other.context_;
            handle_ = std::exchange(other.handle_, nixl_pool{});
        }
        return *this;
    }
    MemoryPool(const MemoryPool&) = delete;
    MemoryPool& operator=(const MemoryPool&) = delete;

    /// Memory is not cleared. `alignment`: of the address, a power of two. Throws NO_MEMORY with
    /// what is used, free, and the longest free piece.
    [[nodiscard]] Buffer allocate(std::size_t bytes, std::size_t alignment = 256) {
        Buffer buffer(context_);
        buffer.drain_ns_ = Buffer::DRAIN_NS;
        detail::check(
            nixl_pool_allocate(context_, handle(), bytes, alignment, &buffer.handle_, nullptr));
        return buffer;
    }
    [[nodiscard]] PoolStats stats() const {
        const nixl_pool_description now = describe();
        return {now.bytes,   now.used_bytes,  now.peak_bytes, now.largest_free_bytes,
                now.buffers, now.allocations, now.refusals};
    }
    [[nodiscard]] MemoryType type() const { return Buffer::type_of(describe().kind); }
    [[nodiscard]] int device() const { return describe().device; }

    /// Gives the memory back now. Twice, or after finalize(), does nothing. Throws BUSY while
    /// buffers of it exist.
    void free() {
        if (handle_.generation == 0)
            return;
        const nixl_status status = nixl_pool_free(context_, handle_);
        if (status != NIXL_OK && status != NIXL_STALE)
            detail::throw_last_error(status);
        handle_ = nixl_pool{};
    }

    /// For calls of the C ABI. Throws STALE when the pool was freed or moved from.
    [[nodiscard]] nixl_pool handle() const {
        if (handle_.generation == 0)
            throw NIXLException(Code::STALE, "the pool was freed or moved from");
        return handle_;
    }

  private:
    MemoryPool(std::size_t bytes, std::uint32_t kind, int device, nixl_context context)
        : context_(context) {
        detail::check(nixl_pool_create(context, bytes, kind, device, &handle_));
    }
    [[nodiscard]] nixl_pool_description describe() const {
        nixl_pool_description description = NIXL_INIT(nixl_pool_description);
        detail::check(nixl_pool_describe(context_, handle(), &description));
        return description;
    }
    void close_quietly() noexcept {
        if (handle_.generation != 0 && nixl_pool_free(context_, handle_) == NIXL_BUSY)
            detail::complain("freeing a pool", "buffers of it exist; it stays until finalize()");
        handle_ = nixl_pool{};
    }

    nixl_context context_{};
    nixl_pool handle_{};
};

} // namespace nixl
