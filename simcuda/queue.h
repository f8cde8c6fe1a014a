// SPDX-License-Identifier: Apache-2.0
// A stream: operations that run one after the other on a thread of their own.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "platform/cuda_calls.h"

namespace nixl::simcuda {

struct Driver;
struct Gpu;
struct Queue;
class Work;

/// A point in a stream: after its first `count` operations.
struct Position {
    std::shared_ptr<Queue> queue;
    uint64_t count = 0;

    [[nodiscard]] bool is_reached() const;
};

struct Operation {
    std::function<core::cuda::CuResult(Work&)> run; ///< on the stream's thread, without the mutex
    std::function<void(core::cuda::CuResult)> tell; ///< the same, also when the GPU had an error
    bool moves_bytes = false;                       ///< faults are for those, see faults.h
    std::vector<Position> after;                    ///< of other streams
};

/// Guarded by the driver's mutex.
struct Queue : std::enable_shared_from_this<Queue> {
    Queue(Gpu& owner, bool synchronises_with_default)
        : gpu(owner), blocking(synchronises_with_default) {}

    Gpu& gpu;            ///< never changes
    const bool blocking; ///< waits for the default stream, and that for it
    std::deque<Operation> operations;
    std::condition_variable work;
    uint64_t enqueued = 0, completed = 0;
    bool started = false;   ///< its thread, at the first operation
    bool destroyed = false; ///< the handle is gone; what is queued still runs

    [[nodiscard]] Position end() { return {shared_from_this(), enqueued}; }
    [[nodiscard]] bool is_idle() const { return completed == enqueued; }
};

/// Adds at the end. Waits while the stream is full, as the real driver does.
core::cuda::CuResult enqueue(Driver& driver, std::unique_lock<std::mutex>& lock, Queue& queue,
                             Operation operation);

/// Ends of the streams that the host waits for with this one: the default stream's operations come
/// after those of all blocking streams.
std::vector<Position> ends_of(Queue& queue);
/// Of all streams of a GPU.
std::vector<Position> ends_of(Gpu& gpu);

void wait_for(Driver& driver, std::unique_lock<std::mutex>& lock,
              const std::vector<Position>& positions);

/// The stream of a GPU that has no handle.
Queue& default_queue_of(Gpu& gpu);
/// Ends a stream whose handle is gone, after its work.
void retire(Queue& queue);

} // namespace nixl::simcuda
