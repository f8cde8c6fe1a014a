// SPDX-License-Identifier: Apache-2.0
// What an engine offers: one queue of the data path, as backend.h words it.
#pragma once

#include <cstdint>

#include <nixl/backend.h>
#include <nixl/sdk/host.hpp>

namespace nixl::core::posix {

struct Options;
struct Region;
class ThreadPool;
class WaitingQueues;

/// What a queue is opened with. Lifetime: all of it outlives the queue.
struct QueueParts {
    const sdk::Host& host;
    const Options& options;
    uint32_t depth_ops; ///< most operations in flight of one device
    void* host_queue;   ///< for host->wake()
    ThreadPool& pool;
    WaitingQueues& waiting;
    uint32_t number; ///< of the queue in `waiting`
};

// How long assist() sleeps at most. A crowd of results ends it sooner: being woken for each one
// costs more than half of the CPU time of small operations.
inline constexpr int64_t ASSIST_NS = 100'000;

/// Threads: one driver at a time; attached() and detaching() come from any other thread meanwhile.
class Queue {
  public:
    Queue() = default;
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;
    virtual ~Queue() = default;

    virtual uint64_t submit(const nixl_batch& batch) noexcept = 0;
    virtual uint32_t poll(nixl_completion* out, uint32_t capacity) noexcept = 0;
    virtual void cancel(uint64_t tag) noexcept = 0;
    virtual bool arm() noexcept = 0;
    virtual int fd() noexcept = 0;
    virtual int assist() noexcept = 0; // 0, 1 or 2: see nixl_backend_v1

    /// The region can be used from now on; the calls after it may name it.
    virtual void attached(const Region&) noexcept {}
    /// Nothing is in flight on the region, and nothing names it any more.
    virtual void detaching(const Region&) noexcept {}
};

} // namespace nixl::core::posix
