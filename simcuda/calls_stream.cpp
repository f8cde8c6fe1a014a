// SPDX-License-Identifier: Apache-2.0
// Streams and host functions.
#include <algorithm>

#include "call.h"

namespace nixl::simcuda {
namespace {

/// `body(Queue&)` for a stream whose GPU is well.
template <typename Body> CuResult on_stream(Stream stream, Body body) {
    return in_context([&](Call& call) {
        const auto queue = queue_of(call, stream);
        if (!queue)
            return CuResult::INVALID_HANDLE;
        return queue->gpu.fault != CuResult::SUCCESS ? queue->gpu.fault : body(call, *queue);
    });
}

} // namespace

extern "C" {

CuResult cuStreamCreateWithPriority(Stream* out, unsigned flags, int /*priority*/) {
    // Priorities out of range are moved into it by the real driver, too; here none has an effect.
    return in_context([&](Call& call) {
        if (out == nullptr || (flags & ~STREAM_NON_BLOCKING) != 0)
            return CuResult::INVALID_VALUE;
        auto queue = std::make_shared<Queue>(*call.gpu, flags == 0);
        call.gpu->queues.push_back(queue);
        *out = call.driver.streams.add(std::move(queue));
        return CuResult::SUCCESS;
    });
}

CuResult cuStreamDestroy_v2(Stream stream) {
    return in_context([&](Call& call) {
        const auto queue = call.driver.streams.take(stream);
        if (!queue)
            return CuResult::INVALID_HANDLE;
        retire(*queue);
        return queue->gpu.fault;
    });
}

CuResult cuStreamQuery(Stream stream) {
    return on_stream(stream, [](Call& call, Queue& queue) {
        if (const CuResult refused = forbidden_by_capture(call); refused != CuResult::SUCCESS)
            return refused;
        const auto ends = ends_of(queue);
        const bool idle = std::all_of(ends.begin(), ends.end(),
                                      [](const Position& end) { return end.is_reached(); });
        return idle ? CuResult::SUCCESS : CuResult::NOT_READY;
    });
}

CuResult cuStreamSynchronize(Stream stream) {
    return on_stream(stream, [](Call& call, Queue& queue) {
        const auto alive = queue.shared_from_this();
        wait_for(call.driver, call.lock, ends_of(queue));
        return queue.gpu.fault;
    });
}

CuResult cuStreamWaitEvent(Stream stream, Event event, unsigned flags) {
    return on_stream(stream, [&](Call& call, Queue& queue) {
        const auto record = call.driver.events.find(event);
        if (!record)
            return CuResult::INVALID_HANDLE;
        if (record->gpu.fault != CuResult::SUCCESS)
            return record->gpu.fault;
        if (flags != 0)
            return CuResult::INVALID_VALUE;
        if (!record->position.queue)
            return CuResult::SUCCESS;
        Operation wait;
        wait.after.push_back(record->position); // as it is now: later records do not matter
        return enqueue(call.driver, call.lock, queue, std::move(wait));
    });
}

CuResult cuStreamGetCtx(Stream stream, Context* out) {
    return on_stream(stream, [&](Call&, Queue& queue) {
        if (out == nullptr)
            return CuResult::INVALID_VALUE;
        *out = queue.gpu.context;
        return CuResult::SUCCESS;
    });
}

CuResult cuStreamAddCallback(Stream stream, StreamCallback function, void* argument,
                             unsigned flags) {
    return on_stream(stream, [&](Call& call, Queue& queue) {
        if (function == nullptr || flags != 0)
            return CuResult::INVALID_VALUE;
        Operation operation;
        operation.tell = [stream, function, argument](CuResult state) {
            runs_host_function() = true;
            function(stream, state, argument);
            runs_host_function() = false;
        };
        return enqueue(call.driver, call.lock, queue, std::move(operation));
    });
}
}

} // namespace nixl::simcuda
