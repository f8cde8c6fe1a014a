// SPDX-License-Identifier: Apache-2.0
// Keeps direct and cached writes of one file from being in flight together.
#pragma once

#include <atomic>
#include <cstdint>

namespace nixl::core::posix {

/// The coherence rule of files that have a DIRECT region.
///
/// A piece of one whose file offset, length or memory is not aligned goes through the page cache.
/// The kernel keeps direct and cached I/O coherent when one follows the other: a direct write first
/// writes back and then drops the cached pages of its range, a direct read first writes back. It
/// does not when a cached write touches the same page or folio WHILE a direct write is in flight:
/// the page may have been filled with the block's old bytes, and writing it back later undoes the
/// direct write next to it. So an aligned write starts direct only while no cached write is in
/// flight or waiting (else it goes through the cache, too), and an unaligned write waits for the
/// direct ones in flight. Reads need no rule. The pages are the file's, so all its regions share
/// one phase, those that are not DIRECT as well: all their writes are cached ones.
///
/// Threads: any thread. The count of each sort is bounded by the queues' depths.
class WritePhase {
  public:
    enum class Way : uint8_t { DIRECT, CACHED, WAIT };

    /// `waiting`: this write had WAIT before. Every DIRECT or CACHED is paired with one finish().
    Way start(bool aligned, bool waiting) noexcept {
        // seq_cst throughout: this is off the fast path of cached regions and cheap beside a write.
        uint64_t now = state_.load();
        for (;;) {
            const uint64_t others = now / WAITER - (waiting ? 1 : 0);
            const bool direct_active = now % CACHED_ONE != 0;
            const bool cached_active = now % WAITER >= CACHED_ONE;
            Way way = Way::CACHED;
            if (aligned && !cached_active && others == 0)
                way = Way::DIRECT;
            else if (direct_active)
                way = Way::WAIT;
            uint64_t next = now;
            if (way == Way::DIRECT)
                next += DIRECT_ONE;
            else if (way == Way::CACHED)
                next += CACHED_ONE;
            if (way == Way::WAIT && !waiting)
                next += WAITER;
            else if (way != Way::WAIT && waiting)
                next -= WAITER;
            if (next == now || state_.compare_exchange_weak(now, next))
                return way;
        }
    }
    /// True: others wait for what has ended now, so wake them.
    [[nodiscard]] bool finish(Way way) noexcept {
        if (way == Way::CACHED) { // nobody waits for cached writes
            state_.fetch_sub(CACHED_ONE);
            return false;
        }
        const uint64_t before = state_.fetch_sub(DIRECT_ONE);
        return before % CACHED_ONE == DIRECT_ONE && before >= WAITER;
    }
    /// A write that had WAIT is given up.
    void stop_waiting() noexcept { state_.fetch_sub(WAITER); }

  private:
    static constexpr uint64_t DIRECT_ONE = 1;
    static constexpr uint64_t CACHED_ONE = 1ull << 24;
    static constexpr uint64_t WAITER = 1ull << 48;
    std::atomic<uint64_t> state_{0}; // direct writes | cached writes << 24 | waiting << 48
};

} // namespace nixl::core::posix
