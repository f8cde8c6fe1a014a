// SPDX-License-Identifier: Apache-2.0
// How much of one queue is taken by what may hang together. HOT
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "region.h"

namespace nixl::core::posix {

/// Counts the operations by device, also those that wait for another queue, and those in flight
/// that take turns (Region::writes_in_turn) by file, so that those that hang leave something to the
/// others. A device may have as many as the depth, but no more than three times what it leaves
/// free: the queue has a third more operations than its depth, so the first device has all of the
/// depth, the second one three quarters of the rest, and so on. The turns of a file may have half
/// of the depth.
///
/// Threads: one thread (the queue's driver).
class Shares {
  public:
    using Group = ThreadPool::Group;

    explicit Shares(uint32_t depth_ops)
        : depth_ops_(depth_ops), most_of_file_(std::max(depth_ops / 2, 1u)),
          groups_(size_t{operations_for(depth_ops)} * 2) {}

    static const Group& device_of(const File& file) noexcept { return *file.threads.outer; }

    /// What a queue of that depth has in all.
    static constexpr uint32_t operations_for(uint32_t depth_ops) noexcept {
        return depth_ops + depth_ops / 3 + 1;
    }

    /// False: each file may have one more, whatever it is. `free_operations`: of all of them.
    [[nodiscard]] bool may_be_full(uint32_t free_operations) const noexcept {
        return in_all_ >= std::min(most_of_file_, most_of_device(free_operations));
    }
    [[nodiscard]] bool is_device_full(const File& file, uint32_t free_operations) const noexcept {
        return count(device_of(file)) >= most_of_device(free_operations);
    }
    [[nodiscard]] bool are_turns_full(const File& file) const noexcept {
        return count(file.threads) >= most_of_file_;
    }
    void begin(const File& file) noexcept {
        ++in_all_;
        add(device_of(file));
    }
    void end(const File& file) noexcept {
        --in_all_;
        take(device_of(file));
    }
    void begin_turn(const File& file) noexcept { add(file.threads); }
    void end_turn(const File& file) noexcept { take(file.threads); }

  private:
    struct Counted {
        const Group* group;
        uint32_t operations;
    };

    [[nodiscard]] uint32_t most_of_device(uint32_t free_operations) const noexcept {
        return std::min(depth_ops_, 3 * free_operations);
    }
    [[nodiscard]] uint32_t find(const Group& group) const noexcept {
        uint32_t i = 0;
        while (i < group_count_ && groups_[i].group != &group)
            ++i;
        return i;
    }
    [[nodiscard]] uint32_t count(const Group& group) const noexcept {
        const uint32_t i = find(group);
        return i < group_count_ ? groups_[i].operations : 0;
    }
    void add(const Group& group) noexcept {
        const uint32_t i = find(group);
        if (i == group_count_)
            groups_[group_count_++] = {&group, 0};
        ++groups_[i].operations;
    }
    void take(const Group& group) noexcept {
        const uint32_t i = find(group);
        if (--groups_[i].operations == 0)
            groups_[i] = groups_[--group_count_];
    }

    const uint32_t depth_ops_, most_of_file_;
    // One entry per file and device that has operations here. Queues work with few files at a time,
    // so a search is as good as a table.
    std::vector<Counted> groups_;
    uint32_t group_count_ = 0, in_all_ = 0;
};

} // namespace nixl::core::posix
