// SPDX-License-Identifier: Apache-2.0
// One queue's operations that may block their thread, on the instance's threads. HOT
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include <nixl/sdk/host.hpp>

#include "bounded_ring.h"
#include "flow.h"
#include "thread_pool.h"

namespace nixl::core::posix {

/// Usage: start() what Flow::next() hands out; poll() calls collect().
///
/// Threads: one thread at a time (the queue's driver).
class BlockingCalls {
  public:
    /// `most`: operations in flight. The pool outlives it.
    BlockingCalls(const sdk::Host& host, void* host_queue, ThreadPool& pool, uint32_t most);
    /// Nothing is in flight.
    ~BlockingCalls();
    BlockingCalls(const BlockingCalls&) = delete;
    BlockingCalls& operator=(const BlockingCalls&) = delete;

    /// Those that take turns are carried out in order, one at a time of each file.
    void start(Operation& operation) noexcept;
    /// Gives the results so far to Flow::finish(). host->wake() is called after those of the
    /// operations that a submit() may be over with, and some of the others.
    void collect(Flow& flow, Sink& sink) noexcept;
    /// Ends as ECANCELED unless its call has begun.
    static void drop(Operation& operation) noexcept { operation.is_dropped.store(true); }
    /// collect() has something to do.
    [[nodiscard]] bool has_work() const noexcept {
        // By the counts: a result behind one that is still being written cannot be taken yet, and
        // the wake-up for it may have come already.
        return refused_count_ > 0 || told_.load() != taken_;
    }
    [[nodiscard]] uint32_t small_in_flight() const noexcept { return small_in_flight_; }

    /// As the queue's: sleeps until a crowd of small operations is over, at most some 100 us.
    int assist() noexcept;

  private:
    struct Finished {
        Operation* operation = nullptr;
        int64_t result = 0; // bytes, or a negative errno
    };

    bool offer(Operation& operation) noexcept;
    static bool is_quiet(const Operation& operation, const Operation& next,
                         uint32_t quiet_before) noexcept;
    static void tell(Operation& operation, int64_t result, bool wake) noexcept;
    static int64_t serve(File& file) noexcept;
    static int64_t work_alone(void* pool, void* operation);
    static void end_alone(void* pool, void* operation, int64_t result);
    static int64_t work_in_turn(void* pool, void* file);
    static void end_turn(void* pool, void* file, int64_t result);

    const sdk::Host& host_;
    void* const host_queue_;
    ThreadPool& pool_;
    const uint32_t most_quiet_;       // operations
    BoundedRing<Finished> results_;   // has room for all operations
    std::vector<Operation*> refused_; // a stack: the pool had no room for them
    uint32_t refused_count_ = 0;
    uint32_t small_in_flight_ = 0;
    uint32_t taken_ = 0;                      // results that the driver has taken
    std::atomic<uint32_t> told_{0};           // results so far
    std::atomic<uint32_t> rings_at_{0};       // the result that ends the driver's sleep
    std::atomic<uint32_t> bell_{0};           // futex of that sleep
    std::atomic<uint32_t> threads_inside_{0}; // operations of ours that a thread may still touch
};

} // namespace nixl::core::posix
