// SPDX-License-Identifier: Apache-2.0
// A bounded queue for several producers and consumers without a lock. HOT
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace nixl::core::posix {

/// Each cell carries the turn in which it may be written or read next, so that a producer and a
/// consumer meet only in the cell that they share.
///
/// Threads: any thread.
template <typename T> class BoundedRing {
  public:
    /// `capacity` is rounded up to a power of two.
    explicit BoundedRing(uint32_t capacity) {
        uint64_t size = 2;
        while (size < capacity)
            size *= 2;
        mask_ = size - 1;
        cells_ = std::make_unique<Cell[]>(size);
        for (uint64_t i = 0; i < size; ++i)
            cells_[i].turn.store(i, std::memory_order_relaxed); // not shared yet
    }

    /// False: full.
    bool push(const T& value) noexcept {
        uint64_t position = tail_.load(std::memory_order_relaxed);
        for (;;) {
            Cell& cell = cells_[position & mask_];
            // acquire: pairs with the release in pop(), so that the old value has been read.
            const uint64_t turn = cell.turn.load(std::memory_order_acquire);
            if (turn == position) {
                // relaxed: claims a position; the cell's turn publishes the value.
                if (!tail_.compare_exchange_weak(position, position + 1, std::memory_order_relaxed))
                    continue;
                cell.value = value;
                cell.turn.store(position + 1, std::memory_order_release); // pairs with pop()
                return true;
            }
            if (turn < position)
                return false;
            position = tail_.load(std::memory_order_relaxed);
        }
    }

    /// False: empty.
    bool pop(T* value) noexcept {
        uint64_t position = head_.load(std::memory_order_relaxed);
        for (;;) {
            Cell& cell = cells_[position & mask_];
            const uint64_t turn = cell.turn.load(std::memory_order_acquire); // pairs with push()
            if (turn == position + 1) {
                if (!head_.compare_exchange_weak(position, position + 1, std::memory_order_relaxed))
                    continue;
                *value = cell.value;
                cell.turn.store(position + mask_ + 1,
                                std::memory_order_release); // pairs with push()
                return true;
            }
            if (turn < position + 1)
                return false;
            position = head_.load(std::memory_order_relaxed);
        }
    }

    /// Whether a pop() now would find nothing.
    [[nodiscard]] bool is_empty() const noexcept {
        const uint64_t position = head_.load(std::memory_order_relaxed);
        return cells_[position & mask_].turn.load(std::memory_order_acquire) != position + 1;
    }

  private:
    struct Cell {
        std::atomic<uint64_t> turn{0};
        T value{};
    };
    std::unique_ptr<Cell[]> cells_;
    uint64_t mask_ = 0;
    alignas(64) std::atomic<uint64_t> tail_{0};
    alignas(64) std::atomic<uint64_t> head_{0};
};

} // namespace nixl::core::posix
