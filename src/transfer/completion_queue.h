// SPDX-License-Identifier: Apache-2.0
// A bounded queue of completion events with a descriptor that can be armed.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include <nixl/nixl_c.h>

#include "base/descriptor.h"
#include "base/slot_map.h"

namespace nixl::core {

/// Threads: any thread pushes, any thread takes. Bounded ring of sequenced cells, without locks.
class CompletionQueue : public Slot {
  public:
    static constexpr uint32_t MAX_DEPTH = 65536;

    Result<void> open(uint32_t depth);
    /// Ends the generation; unread events are dropped. BUSY when posts still owe events, and then
    /// nothing is lost; STALE when it was closed already. OK: the slot is the caller's to give
    /// back.
    Code close(uint32_t wanted_generation) noexcept;

    /// A call uses the queue until leave(). False when the handle is stale.
    [[nodiscard]] bool enter(uint32_t wanted_generation) noexcept;
    void leave() noexcept { inside_.fetch_sub(1, std::memory_order_release); }

    /// Promises room for one event. AGAIN when depth events are out or unread already, STALE when
    /// the queue was closed.
    [[nodiscard]] Code reserve(uint32_t wanted_generation) noexcept;
    void unreserve() noexcept {
        reserved_.fetch_sub(1, std::memory_order_relaxed);
        owed_.fetch_sub(1, std::memory_order_release);
    }
    /// Whether posts still owe an event.
    [[nodiscard]] bool owes() const noexcept { return owed_.load() != 0; }

    void push(const nixl_event& event) noexcept; ///< after reserve(); the last look at the queue
    uint32_t take(nixl_event* out, uint32_t capacity) noexcept;

    /// Signals the descriptor at the next event, at once if one is there.
    void arm() noexcept;
    [[nodiscard]] bool armed() const noexcept { return armed_.load(); }
    [[nodiscard]] int fd() const noexcept { return signal_ ? signal_->fd() : -1; }

  private:
    struct Cell {
        std::atomic<uint64_t> sequence{0};
        nixl_event event{};
    };
    [[nodiscard]] bool empty() const noexcept;

    uint32_t depth_ = 0;
    uint64_t mask_ = 0;
    std::unique_ptr<Cell[]> cells_;
    std::atomic<uint64_t> head_{0};     ///< next to push
    std::atomic<uint64_t> tail_{0};     ///< next to take
    std::atomic<uint32_t> reserved_{0}; ///< events that are out or unread
    std::atomic<uint32_t> owed_{0};     ///< ... of those, not pushed to the end yet
    std::atomic<uint32_t> inside_{0};   ///< calls that use the queue
    std::atomic<bool> closing_{true};
    std::atomic<bool> armed_{false};
    std::optional<EventFd> signal_;
};

} // namespace nixl::core
