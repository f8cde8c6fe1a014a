// SPDX-License-Identifier: Apache-2.0
// HOT
#include "line.h"

#include <algorithm>

namespace nixl::core::cuda {

// allow(hot): at the first work of this kind.
CuResult Line::open() noexcept {
    const Calls& call = gpu_.driver.call;
    int least = 0, greatest = 0;
    (void)call.context_priorities(&least, &greatest);
    CuResult result = call.stream_create(&stream_, STREAM_NON_BLOCKING, greatest);
    if (result == CuResult::SUCCESS)
        result = call.stream_create(&alarm_, STREAM_NON_BLOCKING, greatest);
    if (result == CuResult::SUCCESS)
        result = call.event_create(&joined_, EVENT_DISABLE_TIMING);
    for (Flight& flight : flights_)
        if (result == CuResult::SUCCESS)
            result = call.event_create(&flight.done, EVENT_DISABLE_TIMING);
    return result;
}

Line::~Line() {
    const Calls& call = gpu_.driver.call;
    const CudaScope scope(gpu_.driver, gpu_.context);
    for (Stream stream : {stream_, alarm_})
        if (stream != nullptr) {
            (void)call.stream_synchronize(stream);
            (void)call.stream_destroy(stream);
        }
    if (joined_ != nullptr)
        (void)call.event_destroy(joined_);
    for (const Flight& flight : flights_)
        if (flight.done != nullptr)
            (void)call.event_destroy(flight.done);
}

CuResult Line::wait_for(Stream other, const Gpus& gpus) noexcept {
    const Calls& call = gpu_.driver.call;
    Context owner = nullptr;
    if (const CuResult known = call.stream_context(other, &owner); known != CuResult::SUCCESS)
        return known;
    if (owner == gpu_.context) {
        const CuResult recorded = call.event_record(joined_, other);
        return recorded == CuResult::SUCCESS ? call.stream_wait_event(stream_, joined_, 0)
                                             : recorded;
    }
    // An event belongs to the GPU of the stream that records it.
    const Gpu* const theirs = gpus.with(owner);
    if (theirs == nullptr)
        return CuResult::INVALID_CONTEXT;
    const CudaScope scope(theirs->driver, owner);
    Event event = nullptr;
    CuResult result = call.event_create(&event, EVENT_DISABLE_TIMING);
    if (result != CuResult::SUCCESS)
        return result;
    result = call.event_record(event, other);
    if (result == CuResult::SUCCESS)
        result = call.stream_wait_event(stream_, event, 0);
    (void)call.event_destroy(event); // the driver keeps it for as long as somebody waits
    return result;
}

CuResult Line::launch(uint64_t now_ns) noexcept {
    due_ns_ = std::max(due_ns_, now_ns) +
              static_cast<uint64_t>(static_cast<double>(next().bytes) / bytes_per_ns_);
    next().due_ns = due_ns_;
    const CuResult result = gpu_.driver.call.event_record(next().done, stream_);
    gpu_.note(result);
    ++tail_;
    return result;
}

CuResult Line::state_of_oldest() const noexcept {
    const CuResult result = gpu_.driver.call.event_query(oldest().done);
    gpu_.note(result);
    return result;
}

CuResult Line::call_after_oldest(StreamCallback function, void* argument) noexcept {
    const Calls& call = gpu_.driver.call;
    const CuResult result = call.stream_wait_event(alarm_, oldest().done, 0);
    return result == CuResult::SUCCESS ? call.stream_callback(alarm_, function, argument, 0)
                                       : result;
}

} // namespace nixl::core::cuda
