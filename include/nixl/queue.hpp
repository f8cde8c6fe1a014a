// SPDX-License-Identifier: Apache-2.0
// Completions of many transfers in one place, with a descriptor for event loops.
#pragma once

#include <cstdint>
#include <vector>

#include <nixl/context.hpp>

namespace nixl {

/// One finished post: request, status, bytes, and the `user` pointer of its PostOptions.
using Event = nixl_event;

/// Threads: any.
class CompletionQueue {
  public:
    /// Room for `depth` events, 1 .. 65536. A post that could overfill it throws AGAIN.
    explicit CompletionQueue(std::uint32_t depth, nixl_context context = default_context())
        : context_(context) {
        detail::check(nixl_queue_open(context_, depth, &handle_));
    }
    ~CompletionQueue() {
        if (handle_.generation != 0)
            (void)nixl_queue_close(context_, handle_); // BUSY: it goes with its context
    }
    CompletionQueue(CompletionQueue&& other) noexcept
        : context_(other.context_), handle_(std::exchange(other.handle_, nixl_queue{})) {}
    CompletionQueue& operator=(CompletionQueue&& other) noexcept {
        std::swap(context_, other.context_);
        std::swap(handle_, other.handle_);
        return *this;
    }
    CompletionQueue(const CompletionQueue&) = delete;
    CompletionQueue& operator=(const CompletionQueue&) = delete;

    /// Takes up to `capacity` events in the order of completion and drives transfers. Never blocks.
    std::uint32_t poll(Event* out, std::uint32_t capacity) {
        std::uint32_t count = 0;
        detail::check(nixl_queue_poll(context_, handle_, out, capacity, &count));
        return count;
    }
    std::vector<Event> poll(std::uint32_t capacity = 64) {
        std::vector<Event> events(capacity);
        events.resize(poll(events.data(), capacity));
        return events;
    }
    /// One signal on fd() at the next event, at once if one is there.
    void arm() { detail::check(nixl_queue_arm(context_, handle_)); }
    /// For poll(2) and epoll(7); read 8 bytes to reset it. Owned by the queue.
    [[nodiscard]] int fd() const {
        int descriptor = -1;
        detail::check(nixl_queue_fd(context_, handle_, &descriptor));
        return descriptor;
    }
    /// Throws BUSY while posts use it.
    void close() {
        detail::check(nixl_queue_close(context_, handle_));
        handle_ = nixl_queue{};
    }
    /// For calls of the C ABI.
    [[nodiscard]] nixl_queue handle() const noexcept { return handle_; }

  private:
    nixl_context context_{};
    nixl_queue handle_{};
};

} // namespace nixl
