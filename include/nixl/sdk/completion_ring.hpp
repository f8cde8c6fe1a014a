// SPDX-License-Identifier: Apache-2.0
// Where finished elements wait for poll(): a ring for queues whose driver does the work, and one
// that worker threads may fill. Both merge neighbours, so that a long span comes back as one entry.
// C++17.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include <nixl/backend.h>

namespace nixl::sdk {

namespace detail {

/// The next power of two, 2 .. 2^31.
inline uint32_t ring_capacity(uint32_t wanted) noexcept {
    uint32_t capacity = 2;
    while (capacity < wanted && capacity < (1u << 31))
        capacity *= 2;
    return capacity;
}

/// Field by field. A copy of the whole struct reads it with vector loads, which wait until the
/// fields that were just written one by one have left the store buffer.
inline void copy(nixl_completion* to, const nixl_completion& from) noexcept {
    to->tag = from.tag;
    to->first_element = from.first_element;
    to->element_count = from.element_count;
    to->bytes = from.bytes;
    to->completed_ns = from.completed_ns;
    to->status = from.status;
    to->detail = from.detail;
}

/// Both moved everything, and `next` goes on where `last` ends.
inline bool joins(const nixl_completion& last, const nixl_completion& next) noexcept {
    return last.tag == next.tag && last.first_element + last.element_count == next.first_element;
}

inline void join(nixl_completion* last, const nixl_completion& next) noexcept {
    last->element_count += next.element_count;
    last->bytes += next.bytes;
    if (next.completed_ns > last->completed_ns)
        last->completed_ns = next.completed_ns;
}

} // namespace detail

/// A range of elements that moved completely.
inline nixl_completion whole(uint64_t tag, uint64_t first_element, uint64_t element_count,
                             uint64_t bytes, uint64_t completed_ns = 0) noexcept {
    nixl_completion entry{};
    entry.tag = tag;
    entry.first_element = first_element;
    entry.element_count = element_count;
    entry.bytes = bytes;
    entry.completed_ns = completed_ns;
    return entry;
}

/// A range that ended with an error; `bytes` counts what surely moved.
inline nixl_completion failed(uint64_t tag, uint64_t first_element, uint64_t element_count,
                              nixl_status status, int32_t detail, uint64_t bytes = 0,
                              uint64_t completed_ns = 0) noexcept {
    nixl_completion entry = whole(tag, first_element, element_count, bytes, completed_ns);
    entry.status = status;
    entry.detail = detail;
    return entry;
}

/// Bounded; allocates once, at construction.
///
/// Threads: one driver at a time, like the queue it belongs to.
class CompletionRing {
  public:
    /// At least `capacity` entries (rounded up to a power of two).
    explicit CompletionRing(uint32_t capacity)
        // allow(naked-new): owned by the member, which make_unique would zero first.
        : mask_(detail::ring_capacity(capacity) - 1), entries_(new nixl_completion[mask_ + 1]{}) {}

    [[nodiscard]] bool empty() const noexcept { return head_ == tail_; }
    [[nodiscard]] bool full() const noexcept { return tail_ - head_ > mask_; }
    [[nodiscard]] uint32_t room() const noexcept { return mask_ + 1 - (tail_ - head_); }

    /// Adds a range that moved completely; merged with the newest entry where it continues that.
    /// False when there is no room: check room() before accepting work.
    bool add_whole(const nixl_completion& entry) noexcept {
        if (!empty() && last_is_whole_ && detail::joins(entries_[(tail_ - 1) & mask_], entry)) {
            detail::join(&entries_[(tail_ - 1) & mask_], entry);
            return true;
        }
        return add(entry, true);
    }

    /// Adds an error, or one element that came back short. Never merged.
    bool add_single(const nixl_completion& entry) noexcept { return add(entry, false); }

    /// What a backend's poll() returns.
    uint32_t take(nixl_completion* out, uint32_t capacity) noexcept {
        uint32_t count = 0;
        while (count < capacity && head_ != tail_)
            detail::copy(&out[count++], entries_[head_++ & mask_]);
        return count;
    }

  private:
    bool add(const nixl_completion& entry, bool is_whole) noexcept {
        if (full())
            return false;
        detail::copy(&entries_[tail_++ & mask_], entry);
        last_is_whole_ = is_whole;
        return true;
    }

    uint32_t mask_;
    uint32_t head_ = 0; // count up for ever; the difference is the fill
    uint32_t tail_ = 0;
    bool last_is_whole_ = false;
    std::unique_ptr<nixl_completion[]> entries_;
};

/// The same for queues whose work is finished by other threads. Neighbours are merged when taken.
///
/// Threads: add_*() any thread; take() and empty() the driver. Lock-free; a producer that is
/// preempted inside add_*() delays only entries behind its own.
class SharedCompletionRing {
  public:
    explicit SharedCompletionRing(uint32_t capacity)
        // allow(naked-new): owned by the member.
        : mask_(detail::ring_capacity(capacity) - 1), cells_(new Cell[mask_ + 1]) {
        for (uint32_t i = 0; i <= mask_; ++i)
            cells_[i].turn.store(i, std::memory_order_relaxed);
    }

    /// False when there is no room. A backend that accepts no more than fits never sees that.
    bool add_whole(const nixl_completion& entry) noexcept { return add(entry, true); }
    bool add_single(const nixl_completion& entry) noexcept { return add(entry, false); }

    [[nodiscard]] bool empty() const noexcept {
        // seq_cst: the driver looks here after it has set its "armed" flag; the worker adds first
        // and reads that flag after. One of the two sees the other.
        return cells_[head_ & mask_].turn.load() != head_ + 1;
    }

    uint32_t take(nixl_completion* out, uint32_t capacity) noexcept {
        uint32_t count = 0;
        bool last_is_whole = false;
        for (;; ++head_) {
            Cell& cell = cells_[head_ & mask_];
            // acquire: pairs with the store in add(); the entry is written before.
            if (cell.turn.load(std::memory_order_acquire) != head_ + 1)
                return count;
            if (count != 0 && last_is_whole && cell.is_whole &&
                detail::joins(out[count - 1], cell.entry)) {
                detail::join(&out[count - 1], cell.entry);
            } else if (count < capacity) {
                out[count++] = cell.entry;
                last_is_whole = cell.is_whole;
            } else {
                return count;
            }
            // release: pairs with the load in add(); the entry was read before it is overwritten.
            cell.turn.store(head_ + mask_ + 1, std::memory_order_release);
        }
    }

  private:
    struct Cell {
        std::atomic<uint32_t> turn{0}; // n: free for entry number n; n + 1: holds it
        bool is_whole = false;
        nixl_completion entry{};
    };

    bool add(const nixl_completion& entry, bool is_whole) noexcept {
        // relaxed: the number only picks a cell; the cell's turn orders everything else.
        uint32_t number = tail_.load(std::memory_order_relaxed);
        for (;;) {
            Cell& cell = cells_[number & mask_];
            const auto ahead =
                static_cast<int32_t>(cell.turn.load(std::memory_order_acquire) - number);
            if (ahead < 0)
                return false; // still holds the entry of one round ago
            if (ahead == 0 &&
                tail_.compare_exchange_weak(number, number + 1, std::memory_order_relaxed)) {
                cell.entry = entry;
                cell.is_whole = is_whole;
                cell.turn.store(number + 1); // seq_cst, see empty()
                return true;
            }
            if (ahead > 0)
                number = tail_.load(std::memory_order_relaxed);
        }
    }

    uint32_t mask_;
    std::unique_ptr<Cell[]> cells_;
    alignas(64) std::atomic<uint32_t> tail_{0};
    alignas(64) uint32_t head_ = 0; // the driver's
};

} // namespace nixl::sdk
