// SPDX-License-Identifier: Apache-2.0
// HOT. One cache line that carries one range to copy from a poster to a worker that stands by.
//
// A span costs a worker four or five lines of the poster's, one after the other: too much for a
// copy of 2 us. Here one line goes there and back.
#pragma once

#include <atomic>
#include <cstdint>

#include "backends/memcpy/copy.h"

namespace nixl::core {

/// Threads: one poster; any number of workers, of which one at a time stands by.
class Handoff {
  public:
    /// Poster. `bytes`: at least 1. False: nobody stands by, or the range before is not copied yet.
    bool give(unsigned char* target, const unsigned char* source, uint64_t bytes) noexcept {
        // acquire: pairs with copy_given(), which has read the range before.
        if (state_.load(std::memory_order_acquire) != State::STANDS_BY)
            return false;
        target_ = target;
        source_ = source;
        bytes_ = bytes;
        State expected = State::STANDS_BY;
        // release: pairs with copy_given().
        return state_.compare_exchange_strong(expected, State::GIVEN, std::memory_order_release,
                                              std::memory_order_relaxed);
    }

    /// Poster. Whether what was given is copied, and visible.
    [[nodiscard]] bool is_copied() const noexcept { return state_.load() != State::GIVEN; }

    /// Worker. True: it stands by now, and leaves no other way than through stand_down().
    bool stand_by() noexcept { return change(State::NOBODY, State::STANDS_BY); }

    /// Worker that stands by. False: something was given meanwhile.
    bool stand_down() noexcept { return change(State::STANDS_BY, State::NOBODY); }

    /// Worker that stands by. Copies what was given and returns its bytes; 0 if nothing was.
    uint64_t copy_given() noexcept {
        // acquire: pairs with give().
        if (state_.load(std::memory_order_acquire) != State::GIVEN)
            return 0;
        const uint64_t bytes = bytes_;
        copy_range(target_, source_, bytes, nullptr);
        state_.store(State::STANDS_BY); // seq_cst, see CopyQueue::arm()
        return bytes;
    }

  private:
    enum class State : uint32_t { NOBODY, STANDS_BY, GIVEN };

    bool change(State from, State to) noexcept {
        // relaxed: workers that come and go tell nothing; what the last one copied is released by
        // its store, whose sequence these exchanges go on.
        return state_.compare_exchange_strong(from, to, std::memory_order_relaxed);
    }

    alignas(64) std::atomic<State> state_{State::NOBODY};
    // Written by the poster while somebody stands by, read by that worker once it is given.
    unsigned char* target_ = nullptr;
    const unsigned char* source_ = nullptr;
    uint64_t bytes_ = 0;
};

} // namespace nixl::core
