// SPDX-License-Identifier: Apache-2.0
// HOT
// A table of elements that kernels copy, filled by the host.
#pragma once

#include <cstdint>

#include <nixl/nixl_c.h>

#include "kernels/walk.h"

namespace nixl::core::cuda {

/// Fills a table from its front with what the bulk kernel takes, from its back with the rest: other
/// elements, and the heads and tails of those that are as far from aligned at both ends.
class EntryList {
  public:
    static constexpr uint64_t PART_BYTES = Walk::UNIT_BYTES;
    /// Shorter ones are not worth a head, a body and a tail.
    static constexpr uint64_t MIN_SPLIT_BYTES = 1024;

    /// `for_bulk`: false puts everything at the front.
    EntryList(void* table, uint64_t table_bytes, bool for_bulk) noexcept
        : entries_(static_cast<ListEntry*>(table)), capacity_(table_bytes / sizeof(ListEntry)),
          back_(capacity_), for_bulk_(for_bulk) {}

    [[nodiscard]] static bool is_aligned(uint64_t source, uint64_t target,
                                         uint64_t bytes) noexcept {
        return ((source | target | bytes) & ODD) == 0;
    }
    /// Whether most of it can be copied aligned.
    [[nodiscard]] static bool is_in_step(uint64_t source, uint64_t target,
                                         uint64_t bytes) noexcept {
        return ((source ^ target) & ODD) == 0 && bytes >= MIN_SPLIT_BYTES;
    }

    [[nodiscard]] uint64_t size() const noexcept { return front_ + capacity_ - back_; }
    [[nodiscard]] bool has_room_for(uint64_t bytes) const noexcept {
        constexpr uint64_t MOST_ENDS = 3;
        return bytes / PART_BYTES + MOST_ENDS <= back_ - front_;
    }
    /// Where there is room.
    void add(uint64_t source, uint64_t target, uint64_t bytes) noexcept {
        const bool is_plain = !for_bulk_ || is_aligned(source, target, bytes);
        if (is_plain && bytes <= PART_BYTES)
            entries_[front_++] = {source, target, bytes};
        else if (is_plain)
            add_front(source, target, bytes);
        else
            add_odd(source, target, bytes);
    }

    /// Adds the elements of runs that hold one each, up to the first that is of another pair,
    /// longer than PART_BYTES or not to be copied as it is. Returns how many, and adds up their
    /// bytes.
    uint64_t add_single_runs(const nixl_run* runs, uint64_t count, uint64_t source_base,
                             uint64_t target_base, uint64_t* bytes) noexcept;

    /// Moves what is at the back behind the front. Nothing can be added then.
    void close() noexcept;
    [[nodiscard]] uint64_t front_count() const noexcept { return front_; }
    [[nodiscard]] uint64_t back_count() const noexcept { return capacity_ - back_; }

  private:
    static constexpr uint64_t ODD = BulkShape::ALIGNMENT - 1;

    void add_odd(uint64_t source, uint64_t target, uint64_t bytes) noexcept;
    void add_front(uint64_t source, uint64_t target, uint64_t bytes) noexcept;
    void add_back(uint64_t source, uint64_t target, uint64_t bytes) noexcept {
        if (bytes != 0)
            entries_[--back_] = {source, target, bytes};
    }

    ListEntry* const entries_;
    const uint64_t capacity_;
    uint64_t front_ = 0;
    uint64_t back_;
    const bool for_bulk_;
};

} // namespace nixl::core::cuda
