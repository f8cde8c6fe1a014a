// SPDX-License-Identifier: Apache-2.0
#include "queue.h"

#include <algorithm>
#include <csignal>
#include <system_error>
#include <thread>

#include <pthread.h>
#include <time.h>

#include "driver.h"
#include "work.h"

namespace nixl::simcuda {

using core::cuda::CuResult;

namespace {

constexpr uint64_t DEPTH_OPS = 1024; // about what the real driver queues before it blocks

void pause_us(long us) {
    timespec left = {us / 1'000'000, us % 1'000'000 * 1000};
    while (us > 0 && ::nanosleep(&left, &left) != 0)
        continue;
}

CuResult perform(Driver& driver, Queue& queue, const Operation& operation,
                 std::unique_lock<std::mutex>& lock) {
    if (!operation.run)
        return CuResult::SUCCESS;
    const long slow_us = operation.moves_bytes ? driver.faults.slow_us() : 0;
    const CuResult fault = operation.moves_bytes ? driver.faults.on_operation() : CuResult::SUCCESS;
    lock.unlock();
    CuResult result = fault;
    {
        Work work(driver, queue.gpu);
        pause_us(slow_us);
        if (fault == CuResult::SUCCESS)
            result = operation.run(work);
    } // what it touched is free before anybody is told that it has ended
    lock.lock();
    return result;
}

/// The body of a stream's thread. It is never joined: a process may end while it is busy, and the
/// driver is never destroyed.
void serve(Driver& driver, const std::shared_ptr<Queue>& queue) {
    ::pthread_setname_np(::pthread_self(), "nixl-sim-stream");
    std::unique_lock lock(driver.mutex);
    for (;;) {
        queue->work.wait(lock, [&] { return !queue->operations.empty() || queue->destroyed; });
        if (queue->operations.empty())
            break;
        Operation operation = std::move(queue->operations.front());
        queue->operations.pop_front();
        wait_for(driver, lock, operation.after);
        Gpu& gpu = queue->gpu;
        if (gpu.fault == CuResult::SUCCESS) {
            const CuResult result = perform(driver, *queue, operation, lock);
            if (gpu.fault == CuResult::SUCCESS)
                gpu.fault = result;
        }
        if (operation.tell) {
            const CuResult state = gpu.fault;
            lock.unlock();
            operation.tell(state);
            lock.lock();
        }
        operation = {};
        ++queue->completed;
        driver.progress.notify_all();
    }
    std::erase(queue->gpu.queues, queue);
}

/// Signals are blocked on the thread, so that handlers run on the user's threads.
bool start(Driver& driver, std::shared_ptr<Queue> queue) {
    sigset_t all, before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = true;
    try { // it reports EAGAIN by throwing
        std::thread([&driver, queue = std::move(queue)] { serve(driver, queue); }).detach();
    } catch (const std::system_error&) {
        started = false;
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return started;
}

/// What the legacy default stream's rules let this operation wait for.
std::vector<Position> legacy_order(Queue& queue) {
    std::vector<Position> after;
    const auto add = [&](Queue& other) {
        if (!other.is_idle())
            after.push_back(other.end());
    };
    Queue* const legacy = queue.gpu.default_queue.get();
    if (&queue != legacy && legacy != nullptr && queue.blocking)
        add(*legacy);
    if (&queue == legacy)
        for (const auto& other : queue.gpu.queues)
            if (other.get() != legacy && other->blocking)
                add(*other);
    return after;
}

} // namespace

bool Position::is_reached() const { return queue->completed >= count; }

CuResult enqueue(Driver& driver, std::unique_lock<std::mutex>& lock, Queue& queue,
                 Operation operation) {
    const auto alive = queue.shared_from_this();
    driver.progress.wait(lock, [&] { return queue.enqueued - queue.completed < DEPTH_OPS; });
    if (queue.destroyed)
        return CuResult::INVALID_HANDLE;
    if (!queue.started && !start(driver, alive))
        return CuResult::OPERATING_SYSTEM;
    queue.started = true;
    for (Position& position : legacy_order(queue))
        operation.after.push_back(std::move(position));
    queue.operations.push_back(std::move(operation));
    ++queue.enqueued;
    queue.work.notify_one();
    return CuResult::SUCCESS;
}

std::vector<Position> ends_of(Queue& queue) {
    std::vector<Position> ends = {queue.end()};
    if (&queue == queue.gpu.default_queue.get())
        for (const auto& other : queue.gpu.queues)
            if (other->blocking)
                ends.push_back(other->end());
    return ends;
}

std::vector<Position> ends_of(Gpu& gpu) {
    std::vector<Position> ends;
    for (const auto& queue : gpu.queues)
        ends.push_back(queue->end());
    return ends;
}

void wait_for(Driver& driver, std::unique_lock<std::mutex>& lock,
              const std::vector<Position>& positions) {
    driver.progress.wait(lock, [&] {
        return std::all_of(positions.begin(), positions.end(),
                           [](const Position& position) { return position.is_reached(); });
    });
}

Queue& default_queue_of(Gpu& gpu) {
    if (!gpu.default_queue) {
        gpu.default_queue = std::make_shared<Queue>(gpu, true);
        gpu.queues.push_back(gpu.default_queue);
    }
    return *gpu.default_queue;
}

void retire(Queue& queue) {
    const auto alive = queue.shared_from_this();
    queue.destroyed = true;
    queue.work.notify_one();
    if (!queue.started)
        std::erase(queue.gpu.queues, alive);
}

} // namespace nixl::simcuda
