// SPDX-License-Identifier: Apache-2.0
// How much of one queue's depth is taken by what may hang together. HOT
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "region.h"

namespace nixl::core::posix {

/// Counts the operations that wait for their turn or are in it (Region::writes_in_turn), by file
/// and by device, so that those that hang do not take the whole depth: a file gets half of it, and
/// all files of a device three times as much as they leave to the others.
///
/// Threads: one thread (the queue's driver).
class Turns {
  public:
    explicit Turns(uint32_t depth_ops)
        : most_of_file_(std::max(depth_ops / 2, 1u)), groups_(size_t{depth_ops} * 2) {}

    /// False: every file may have one more. `free_operations`: of the depth.
    [[nodiscard]] bool may_be_full(uint32_t free_operations) const noexcept {
        return in_all_ >= std::min(most_of_file_, most_of_device(free_operations));
    }
    [[nodiscard]] bool are_full(const File& file, uint32_t free_operations) const noexcept {
        return count(file.threads) >= most_of_file_ ||
               count(*file.threads.outer) >= most_of_device(free_operations);
    }
    void begin(const File& file) noexcept {
        ++in_all_;
        add(file.threads);
        add(*file.threads.outer);
    }
    void end(const File& file) noexcept {
        --in_all_;
        take(file.threads);
        take(*file.threads.outer);
    }

  private:
    struct Counted {
        const ThreadPool::Group* group;
        uint32_t operations;
    };

    static uint32_t most_of_device(uint32_t free_operations) noexcept {
        return 3 * free_operations;
    }
    [[nodiscard]] uint32_t find(const ThreadPool::Group& group) const noexcept {
        uint32_t i = 0;
        while (i < group_count_ && groups_[i].group != &group)
            ++i;
        return i;
    }
    [[nodiscard]] uint32_t count(const ThreadPool::Group& group) const noexcept {
        const uint32_t i = find(group);
        return i < group_count_ ? groups_[i].operations : 0;
    }
    void add(const ThreadPool::Group& group) noexcept {
        const uint32_t i = find(group);
        if (i == group_count_)
            groups_[group_count_++] = {&group, 0};
        ++groups_[i].operations;
    }
    void take(const ThreadPool::Group& group) noexcept {
        const uint32_t i = find(group);
        if (--groups_[i].operations == 0)
            groups_[i] = groups_[--group_count_];
    }

    const uint32_t most_of_file_;
    // One entry per file and device that has operations here. Queues write to few files at a time,
    // so a search is as good as a table.
    std::vector<Counted> groups_;
    uint32_t group_count_ = 0, in_all_ = 0;
};

} // namespace nixl::core::posix
