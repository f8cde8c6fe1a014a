// SPDX-License-Identifier: Apache-2.0
// HOT
// A table of objects named by {index, generation}. Objects never move, and a handle of something
// freed is told from a live one, so that a stale handle is an error and never a crash.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

namespace nixl::core {

/// What every slot carries. The generation is odd while the slot is taken and even while it is
/// free, so that a handle that was never given out is not valid by chance; 0 is no generation.
struct Slot {
    std::atomic<uint32_t> generation{0};
    std::atomic<uint32_t> next_free{0};
    uint32_t index = 0;
};

/// T derives from Slot and is default-constructible; it is constructed once and reused for ever.
///
/// Threads: any thread. take() and give() are lock-free but for the growth of the table.
template <typename T, uint32_t CHUNK = 256> class SlotMap {
  public:
    static constexpr uint32_t MAX_CHUNKS = 4096;

    explicit SlotMap(uint32_t limit)
        : limit_(limit < CHUNK * MAX_CHUNKS ? limit : CHUNK * MAX_CHUNKS),
          first_generation_(next_first_generation()) {}

    /// A free slot, or nullptr when `limit` are taken. Allocates only when the table grows.
    [[nodiscard]] T* take() noexcept {
        for (;;) {
            uint64_t head = free_.load(std::memory_order_acquire); // pairs with push()
            const auto one_based = static_cast<uint32_t>(head);
            if (one_based == 0) {
                if (!grow())
                    return nullptr;
                continue;
            }
            T& slot = at(one_based - 1);
            const uint32_t next = slot.next_free.load(std::memory_order_relaxed);
            // The upper half counts changes, so that a slot taken and given meanwhile is noticed.
            const uint64_t fresh = ((head >> 32) + 1) << 32 | next;
            if (free_.compare_exchange_weak(head, fresh, std::memory_order_acq_rel)) {
                slot.generation.store(slot.generation.load(std::memory_order_relaxed) + 1,
                                      std::memory_order_relaxed);
                return &slot;
            }
        }
    }

    /// Ends the slot's generation: every handle of it is stale from here on. give() must follow.
    static void retire(T& slot) noexcept {
        slot.generation.store(slot.generation.load(std::memory_order_relaxed) + 1,
                              std::memory_order_release); // pairs with find()
    }

    /// Makes a retired slot available again.
    void give(T& slot) noexcept { push(slot.index, slot.index); }

    /// nullptr when the handle is stale or was never given out.
    [[nodiscard]] T* find(uint32_t index, uint32_t generation) noexcept {
        // size_: pairs with grow()
        if (index >= size_.load(std::memory_order_acquire) || generation % 2 == 0)
            return nullptr;
        T& slot = at(index);
        return slot.generation.load(std::memory_order_acquire) == generation ? &slot : nullptr;
    }

    [[nodiscard]] T& at(uint32_t index) noexcept {
        return chunks_[index / CHUNK].load(std::memory_order_acquire)[index % CHUNK];
    }

    /// Slots that exist, taken or free; for walking over them.
    [[nodiscard]] uint32_t size() const noexcept { return size_.load(std::memory_order_acquire); }
    [[nodiscard]] uint32_t limit() const noexcept { return limit_; }

    ~SlotMap() {
        for (auto& chunk : chunks_)
            std::unique_ptr<T[]>(chunk.load(std::memory_order_relaxed)).reset();
    }

  private:
    /// Far from that of any other table, so that a handle of a context that was closed is stale in
    /// the next one as well. (Multiples of 2^32 over the golden ratio lie evenly; even: free.)
    static uint32_t next_first_generation() noexcept {
        static std::atomic<uint32_t> tables{0};
        return (tables.fetch_add(1) * 0x9E3779B1u) & ~1u;
    }
    bool grow() noexcept;

    /// Puts the chain first .. last in front of the free list.
    void push(uint32_t first, uint32_t last) noexcept {
        uint64_t head = free_.load(std::memory_order_relaxed);
        for (;;) {
            at(last).next_free.store(static_cast<uint32_t>(head), std::memory_order_relaxed);
            const uint64_t fresh = ((head >> 32) + 1) << 32 | (first + 1);
            if (free_.compare_exchange_weak(head, fresh, std::memory_order_release))
                return;
        }
    }

    std::atomic<uint64_t> free_{0}; // {changes, index + 1 of the first free slot}
    std::atomic<uint32_t> size_{0};
    const uint32_t limit_;
    const uint32_t first_generation_;
    std::atomic<T*> chunks_[MAX_CHUNKS] = {};
    // allow(hot): the table grows rarely.
    std::mutex growing_;
};

/// Cold: adds one chunk. False at the limit or without memory.
template <typename T, uint32_t CHUNK> bool SlotMap<T, CHUNK>::grow() noexcept {
    // allow(hot): cold path.
    const std::lock_guard<std::mutex> lock(growing_);
    if (static_cast<uint32_t>(free_.load(std::memory_order_acquire)) != 0)
        return true; // somebody else grew it, or gave a slot back
    const uint32_t size = size_.load(std::memory_order_relaxed);
    if (size >= limit_)
        return false;
    const uint32_t count = limit_ - size < CHUNK ? limit_ - size : CHUNK;
    // allow(hot): cold path. allow(naked-new): owned on the same line.
    std::unique_ptr<T[]> chunk(new (std::nothrow) T[CHUNK]);
    if (!chunk)
        return false;
    for (uint32_t i = 0; i < count; ++i) {
        chunk[i].index = size + i;
        chunk[i].generation.store(first_generation_, std::memory_order_relaxed);
        chunk[i].next_free.store(size + i + 2, std::memory_order_relaxed); // one-based
    }
    chunks_[size / CHUNK].store(chunk.release(), std::memory_order_release);
    size_.store(size + count, std::memory_order_release);
    push(size, size + count - 1);
    return true;
}

} // namespace nixl::core
