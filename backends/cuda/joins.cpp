// SPDX-License-Identifier: Apache-2.0
#include "joins.h"

#include <algorithm>

namespace nixl::core::cuda {

Joins::~Joins() {
    for (const Join& join : joins_)
        if (join.context != nullptr) {
            const CudaScope scope(driver_, join.context);
            (void)driver_.call.event_destroy(join.event);
        }
}

CuResult Joins::event_of(uint64_t tag, Stream stream, Event* out) noexcept {
    const auto found = std::find_if(joins_.begin(), joins_.end(), [&](const Join& join) {
        return join.is_open && join.tag == tag;
    });
    if (found != joins_.end()) {
        *out = found->event;
        return CuResult::SUCCESS;
    }
    Join& join = free_join();
    const CuResult result = record(join, stream);
    join.is_open = result == CuResult::SUCCESS;
    join.tag = tag;
    *out = join.event;
    return result;
}

/// Where all are open, the one that was taken first: its tag joins its stream anew.
Joins::Join& Joins::free_join() noexcept {
    for (Join& join : joins_)
        if (!join.is_open)
            return join;
    Join& oldest = joins_[next_];
    next_ = (next_ + 1) % MAX_JOINS;
    return oldest;
}

void Joins::forget(uint64_t tag) noexcept {
    for (Join& join : joins_)
        join.is_open = join.is_open && join.tag != tag;
}

/// An event belongs to the GPU of the stream that records it.
CuResult Joins::record(Join& join, Stream stream) noexcept {
    const Calls& call = driver_.call;
    Context owner = nullptr;
    int is_capturing = 0;
    if (const CuResult known = call.stream_is_capturing(stream, &is_capturing);
        known != CuResult::SUCCESS)
        return known;
    if (is_capturing != 0) // the graph would get our stream, and nothing would move
        return CuResult::CAPTURE_UNSUPPORTED;
    if (const CuResult known = call.stream_context(stream, &owner); known != CuResult::SUCCESS)
        return known;
    if (join.context != owner && join.context != nullptr) {
        const CudaScope scope(driver_, join.context);
        (void)call.event_destroy(join.event); // the driver keeps it for as long as somebody waits
        join.context = nullptr;
    }
    const CudaScope scope(driver_, owner);
    if (scope.result != CuResult::SUCCESS)
        return scope.result;
    if (join.context == nullptr) {
        const CuResult made = call.event_create(&join.event, EVENT_DISABLE_TIMING);
        if (made != CuResult::SUCCESS)
            return made;
        join.context = owner;
    }
    return call.event_record(join.event, stream);
}

} // namespace nixl::core::cuda
