// SPDX-License-Identifier: Apache-2.0
// Events: points in streams.
#include "call.h"

namespace nixl::simcuda {
namespace {

constexpr unsigned BLOCKING_SYNC = 1, INTERPROCESS = 4;

/// `body(Call&, Record&)` for an event whose GPU is well.
template <typename Body> CuResult on_event(Event event, Body body) {
    return in_context([&](Call& call) {
        const auto record = call.driver.events.find(event);
        if (!record)
            return CuResult::INVALID_HANDLE;
        return record->gpu.fault != CuResult::SUCCESS ? record->gpu.fault : body(call, *record);
    });
}

} // namespace

extern "C" {

CuResult cuEventCreate(Event* out, unsigned flags) {
    return in_context([&](Call& call) {
        const unsigned known = BLOCKING_SYNC | EVENT_DISABLE_TIMING | INTERPROCESS;
        const bool without_timing = (flags & EVENT_DISABLE_TIMING) != 0;
        if (out == nullptr || (flags & ~known) != 0 ||
            ((flags & INTERPROCESS) != 0 && !without_timing))
            return CuResult::INVALID_VALUE;
        *out = call.driver.events.add(std::make_shared<Record>(Record{*call.gpu, {}}));
        return CuResult::SUCCESS;
    });
}

CuResult cuEventDestroy_v2(Event event) {
    return in_context([&](Call& call) {
        const auto record = call.driver.events.take(event);
        return record ? record->gpu.fault : CuResult::INVALID_HANDLE;
    });
}

CuResult cuEventRecord(Event event, Stream stream) {
    return on_event(event, [&](Call& call, Record& record) {
        const auto queue = queue_of(call, stream);
        if (!queue || &queue->gpu != &record.gpu)
            return CuResult::INVALID_HANDLE;
        const CuResult failed = enqueue(call.driver, call.lock, *queue, {});
        if (failed == CuResult::SUCCESS)
            record.position = queue->end();
        return failed;
    });
}

CuResult cuEventQuery(Event event) {
    return on_event(event, [](Call& call, Record& record) {
        if (const CuResult refused = forbidden_by_capture(call); refused != CuResult::SUCCESS)
            return refused;
        const bool done = !record.position.queue || record.position.is_reached();
        return done ? CuResult::SUCCESS : CuResult::NOT_READY;
    });
}

CuResult cuEventSynchronize(Event event) {
    return on_event(event, [](Call& call, Record& record) {
        Gpu& gpu = record.gpu;
        if (record.position.queue)
            wait_for(call.driver, call.lock, {record.position});
        return gpu.fault;
    });
}
}

} // namespace nixl::simcuda
