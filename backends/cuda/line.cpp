// SPDX-License-Identifier: Apache-2.0
// HOT
#include "line.h"

#include <algorithm>
#include <utility>

namespace nixl::core::cuda {

// allow(hot): at the first work of this kind.
CuResult Line::open() noexcept {
    const Calls& call = gpu_.driver.call;
    int least = 0, greatest = 0;
    (void)call.context_priorities(&least, &greatest);
    CuResult result = call.stream_create(&stream_, STREAM_NON_BLOCKING, greatest);
    if (result == CuResult::SUCCESS)
        result = call.stream_create(&alarm_, STREAM_NON_BLOCKING, greatest);
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
    for (const Flight& flight : flights_)
        if (flight.done != nullptr)
            (void)call.event_destroy(flight.done);
}

CuResult Line::copy(Flight& flight, Address target, Address source, uint64_t bytes) noexcept {
    return count(flight, gpu_.driver.call.copy(target, source, bytes, stream_));
}

void Line::add_to_batch(Flight& flight, Address target, Address source, uint64_t bytes) noexcept {
    if (batch_.count == CopyBatch::CAPACITY)
        send_some();
    batch_.targets[batch_.count] = target;
    batch_.sources[batch_.count] = source;
    batch_.bytes[batch_.count++] = bytes;
    ++flight.copies; // also where the call fails: some may be on the stream all the same
}

void Line::send_some() noexcept {
    constexpr int IN_ORDER_OF_THE_STREAM = 1;
    const uint32_t count = std::exchange(batch_.count, 0);
    if (count == 0)
        return;
    CopyAttributes attributes{IN_ORDER_OF_THE_STREAM, {}, {}, 0};
    size_t start = 0, failed = 0;
    const CuResult result = gpu_.driver.call.copy_batch(
        batch_.targets.data(), batch_.sources.data(), batch_.bytes.data(), count, &attributes,
        &start, 1, &failed, stream_);
    gpu_.note(result);
    if (batch_.failure == CuResult::SUCCESS)
        batch_.failure = result;
}

CuResult Line::send_batch() noexcept {
    send_some();
    return std::exchange(batch_.failure, CuResult::SUCCESS);
}

CuResult Line::count(Flight& flight, CuResult result) noexcept {
    gpu_.note(result);
    flight.copies += result == CuResult::SUCCESS ? 1 : 0;
    return result;
}

void Line::drop_oldest() noexcept {
    Flight& flight = flights_[head_++ % MAX_FLIGHTS];
    copies_ -= flight.copies;
    forget(flight);
}

void Line::forget(Flight& flight) noexcept {
    if (flight.table != nullptr)
        Tables::give(*flight.table);
    flight.table = nullptr;
}

void Line::launch(uint64_t now_ns) noexcept {
    Flight& flight = next();
    const CuResult result = gpu_.driver.call.event_record(flight.done, stream_);
    gpu_.note(result);
    flight.is_recorded = result == CuResult::SUCCESS;
    due_ns_ = std::max(due_ns_, now_ns) +
              static_cast<uint64_t>(static_cast<double>(flight.bytes) / bytes_per_ns_);
    flight.due_ns = due_ns_;
    copies_ += flight.copies;
    ++tail_;
}

CuResult Line::state_of_oldest() const noexcept {
    const Calls& call = gpu_.driver.call;
    if (gpu_.is_lost())
        return static_cast<CuResult>(gpu_.fault.load(std::memory_order_relaxed));
    CuResult result =
        oldest().is_recorded ? call.event_query(oldest().done) : CuResult::INVALID_HANDLE;
    if (result == CuResult::SUCCESS || result == CuResult::NOT_READY)
        return result;
    // Without an event to go by, it is over when the whole stream is. What cannot say that either
    // runs nothing more: the device is lost, or the program has reset the context.
    if (!is_of_capture(result))
        result = call.stream_query(stream_);
    if (is_of_capture(result))
        return CuResult::NOT_READY; // it may not be asked now
    if (result != CuResult::SUCCESS && result != CuResult::NOT_READY)
        gpu_.end(result);
    return result;
}

CuResult Line::call_after_oldest(StreamCallback function, void* argument) noexcept {
    const Calls& call = gpu_.driver.call;
    if (!oldest().is_recorded)
        return CuResult::INVALID_HANDLE;
    CuResult result = call.stream_wait_event(alarm_, oldest().done, 0);
    if (result == CuResult::SUCCESS)
        result = call.stream_callback(alarm_, function, argument, 0);
    flights_[head_ % MAX_FLIGHTS].has_call = result == CuResult::SUCCESS;
    return result;
}

} // namespace nixl::core::cuda
