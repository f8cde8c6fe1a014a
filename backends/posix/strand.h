// SPDX-License-Identifier: Apache-2.0
// Operations that are carried out one after the other, by one thread at a time. HOT
#pragma once

#include <atomic>
#include <cstdint>

namespace nixl::core::posix {

struct Operation;

/// Usage: whoever push() answers true finds a thread that serves the strand. That one alone calls
/// take() and rest(), until rest() is true.
///
/// Threads: push() any thread.
class Strand {
  public:
    Strand() = default;
    Strand(const Strand&) = delete;
    Strand& operator=(const Strand&) = delete;

    /// Links it by Operation::next_in_turn. True: nobody serves the strand yet.
    bool push(Operation& operation) noexcept;

    /// What was pushed since the last call, oldest first; nullptr: nothing.
    Operation* take() noexcept;

    /// Ends the serving. False: something was pushed meanwhile, go on.
    bool rest() noexcept {
        uintptr_t expected = EMPTY;
        return newest_.compare_exchange_strong(expected, UNSERVED);
    }

    /// Of who serves it: what it has carried out last and not told of yet.
    Operation* last = nullptr;

  private:
    static constexpr uintptr_t UNSERVED = 0, EMPTY = 1; // else the operation pushed last
    // seq_cst: cheap beside a write.
    std::atomic<uintptr_t> newest_{UNSERVED};
};

} // namespace nixl::core::posix
