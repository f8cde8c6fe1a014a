// SPDX-License-Identifier: Apache-2.0
// The queues of one instance whose writes wait for another queue's, so that this one can wake them.
// HOT
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <thread>

#include <nixl/sdk/host.hpp>

namespace nixl::core::posix {

/// Threads: add() and remove() one thread at a time; the rest any thread.
class WaitingQueues {
  public:
    static constexpr uint32_t MAX_QUEUES = 256;
    static constexpr uint32_t NONE = UINT32_MAX;

    explicit WaitingQueues(const sdk::Host& host) noexcept : host_(host) {}

    /// The number of a queue that is opened; NONE: MAX_QUEUES are open.
    uint32_t add(void* host_queue) noexcept {
        for (uint32_t number = 0; number < MAX_QUEUES; ++number) {
            Entry& entry = entries_[number];
            if (entry.is_open.load())
                continue;
            entry.is_waiting.store(false);
            entry.host_queue.store(host_queue);
            entry.is_open.store(true);
            if (number >= used_.load())
                used_.store(number + 1);
            return number;
        }
        return NONE;
    }
    /// After it the queue is woken no more.
    void remove(uint32_t number) noexcept {
        entries_[number].is_open.store(false);
        // A thread that looked just before may be about to wake it: a matter of microseconds.
        while (wakers_.load() != 0)
            std::this_thread::yield();
    }

    /// Before the queue looks for the last time whether it has to wait: whoever ends what it waits
    /// for afterwards sees the mark, since both are seq_cst.
    void expect_wake(uint32_t number) noexcept { entries_[number].is_waiting.store(true); }

    /// Wakes all that wait. Cold: only where direct and cached writes of one file meet.
    void wake_all() noexcept {
        wakers_.fetch_add(1);
        const uint32_t used = used_.load();
        for (uint32_t number = 0; number < used; ++number) {
            Entry& entry = entries_[number];
            if (entry.is_open.load() && entry.is_waiting.exchange(false))
                host_.wake(entry.host_queue.load());
        }
        wakers_.fetch_sub(1);
    }

  private:
    struct Entry {
        std::atomic<bool> is_open{false}, is_waiting{false};
        std::atomic<void*> host_queue{nullptr};
    };
    const sdk::Host& host_;
    std::array<Entry, MAX_QUEUES> entries_;
    std::atomic<uint32_t> used_{0}, wakers_{0};
};

} // namespace nixl::core::posix
