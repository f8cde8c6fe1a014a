// SPDX-License-Identifier: Apache-2.0
// HOT
#include "queue.h"

#include <algorithm>
#include <ctime>

namespace nixl::core::cuda {
namespace {

constexpr uint32_t RING_ENTRIES = 1024;

const Region* region_of(const nixl_region& side) noexcept {
    return static_cast<const Region*>(side.registration);
}

/// The one that moves the bytes; nullptr: there is none at either end.
Gpu* gpu_of(const nixl_region_pair& pair) noexcept {
    const Region *const source = region_of(pair.source), *const target = region_of(pair.target);
    if (source == nullptr || target == nullptr)
        return nullptr;
    return source->gpu != nullptr ? source->gpu : target->gpu;
}

/// Elements of such regions go one by one, so that a piece is never more than MAX_SEAMS copies.
bool has_seams(const nixl_region_pair& pair) noexcept {
    return !region_of(pair.source)->seams.empty() || !region_of(pair.target)->seams.empty();
}

Address address(const unsigned char* pointer) noexcept {
    return reinterpret_cast<uintptr_t>(pointer);
}

nixl_completion ended(uint64_t tag, uint64_t first, uint64_t count, CuResult why) noexcept {
    return sdk::failed(tag, first, count, static_cast<nixl_status>(code_from_cuda(why)),
                       static_cast<int32_t>(why));
}

} // namespace

Queue::Queue(const sdk::Host& host, Gpus& gpus, void* host_queue)
    : host_(host), gpus_(gpus), completions_(RING_ENTRIES),
      // allow(hot): at queue_open().
      alarm_(std::make_unique<Alarm>(host, host_queue)), joins_(gpus.driver()) {}

uint64_t Queue::submit(const nixl_batch& batch) noexcept {
    sdk::OpCursor at(batch);
    const Joined joined = batch.stream == nullptr ? Joined() : join(batch, at.pair());
    while (!at.done() && has_room() && start_some(at, batch.tag, joined)) {}
    if (batch.stream != nullptr && at.done())
        joins_.forget(batch.tag);
    return batch.element_count - at.elements_left();
}

Queue::Joined Queue::join(const nixl_batch& batch, const nixl_region_pair& pair) noexcept {
    const Gpu* const gpu = gpu_of(pair);
    if (gpu == nullptr)
        return {nullptr, CuResult::INVALID_VALUE};
    const CudaScope scope(gpus_.driver(), gpu->context); // some context has to be current
    Joined joined;
    joined.result = joins_.event_of(batch.tag, static_cast<Stream>(batch.stream), &joined.event);
    return joined;
}

/// False: no room for more.
bool Queue::start_some(sdk::OpCursor& at, uint64_t tag, const Joined& joined) noexcept {
    Line* line = nullptr;
    CuResult result = joined.result;
    if (result == CuResult::SUCCESS)
        result = line_for(at.pair(), &line);
    if (result == CuResult::SUCCESS && line->full())
        return false;
    if (result != CuResult::SUCCESS) {
        refuse(at, tag, result);
        return true;
    }
    const CudaScope scope(gpus_.driver(), line->gpu().context);
    result = scope.result;
    if (result == CuResult::SUCCESS && joined.event != nullptr)
        result = line->wait_for(joined.event);
    if (result != CuResult::SUCCESS) {
        line->gpu().note(result);
        refuse(at, tag, result);
        return true;
    }
    Flight& flight = line->next();
    flight.begin(tag, at.element());
    copy_some(*line, flight, at);
    if (flight.copies == 0) { // nothing of it is on the stream
        completions_.add_single(ended(tag, flight.first_element, flight.failed_count, flight.why));
        return true;
    }
    line->launch(host_.now_ns());
    ++flights_;
    return true;
}

/// A piece that fails ends the flight: it may be on the stream in part, so it ends with it.
void Queue::copy_some(Line& line, Flight& flight, sdk::OpCursor& at) noexcept {
    const nixl_region_pair* const pair = &at.pair();
    while (flight.copies < Line::FLIGHT_COPIES && !at.done() && &at.pair() == pair) {
        const Piece piece = take_piece(at);
        flight.why = copy(line, flight, *pair, piece);
        if (flight.why != CuResult::SUCCESS) {
            flight.failed_count = piece.elements;
            return;
        }
        flight.element_count += piece.elements;
        flight.bytes += piece.bytes;
    }
}

Queue::Piece Queue::take_piece(sdk::OpCursor& at) noexcept {
    const nixl_region_pair* const pair = &at.pair();
    Piece piece{address(at.target()), address(at.source()), 0, 0};
    do {
        piece.bytes += at.bytes();
        ++piece.elements;
        at.next();
    } while (!at.done() && &at.pair() == pair && !has_seams(*pair) &&
             address(at.target()) == piece.target + piece.bytes &&
             address(at.source()) == piece.source + piece.bytes);
    return piece;
}

CuResult Queue::copy(Line& line, Flight& flight, const nixl_region_pair& pair,
                     Piece piece) noexcept {
    while (piece.bytes != 0) {
        const uint64_t bytes =
            std::min({piece.bytes, region_of(pair.source)->bytes_to_seam(piece.source),
                      region_of(pair.target)->bytes_to_seam(piece.target)});
        const CuResult result = line.copy(flight, piece.target, piece.source, bytes);
        if (result != CuResult::SUCCESS)
            return result;
        piece.target += bytes;
        piece.source += bytes;
        piece.bytes -= bytes;
    }
    return CuResult::SUCCESS;
}

/// The next element, and as many of its run as there are where nothing works any more, ends here.
void Queue::refuse(sdk::OpCursor& at, uint64_t tag, CuResult why) noexcept {
    const uint64_t count = is_device_lost(why) ? at.left_in_run() : 1;
    completions_.add_single(ended(tag, at.element(), count, why));
    at.skip(count);
}

CuResult Queue::line_for(const nixl_region_pair& pair, Line** out) noexcept {
    if (gpu_of(pair) == nullptr)
        return CuResult::INVALID_VALUE;
    const Region *const source = region_of(pair.source), *const target = region_of(pair.target);
    Gpu& gpu = *gpu_of(pair);
    const Way way = source->gpu == nullptr       ? Way::IN
                    : target->gpu == nullptr     ? Way::OUT
                    : source->gpu == target->gpu ? Way::WITHIN
                                                 : Way::ACROSS;
    if (gpu.is_lost())
        return static_cast<CuResult>(gpu.fault.load(std::memory_order_relaxed));
    return lines_.get(gpu, way, out);
}

uint32_t Queue::poll(nixl_completion* out, uint32_t capacity) noexcept {
    if (flights_ != 0)
        for (Line* const line : lines_)
            if (!line->empty())
                collect(*line);
    return completions_.take(out, capacity);
}

void Queue::collect(Line& line) noexcept {
    const CudaScope scope(gpus_.driver(), line.gpu().context);
    line.gpu().note(scope.result);
    while (!line.empty()) {
        const CuResult state = line.state_of_oldest();
        if (state == CuResult::NOT_READY)
            return;
        end_oldest(line, state);
    }
}

/// A GPU that had an error runs nothing more, so what was on it is over.
void Queue::end_oldest(Line& line, CuResult state) noexcept {
    const Flight& flight = line.oldest();
    const bool is_good = state == CuResult::SUCCESS;
    if (flight.element_count != 0 && is_good)
        completions_.add_whole(
            sdk::whole(flight.tag, flight.first_element, flight.element_count, flight.bytes));
    else if (flight.element_count != 0)
        completions_.add_single(
            ended(flight.tag, flight.first_element, flight.element_count, state));
    if (flight.failed_count != 0)
        completions_.add_single(ended(flight.tag, flight.first_element + flight.element_count,
                                      flight.failed_count, is_good ? flight.why : state));
    line.drop_oldest();
    --flights_;
}

/// Sleeps through the first part of what takes long, and looks in a loop for the rest: being called
/// back takes the driver some 100 us. 0: nothing is under way but what is overdue, since it waits
/// for other work of the GPU.
int Queue::assist() noexcept {
    constexpr uint64_t NAP_NS = 100'000, OVERSLEPT_NS = 100'000, PATIENCE_NS = 1'000'000;
    constexpr int LOOKS = 20;
    const uint64_t now = host_.now_ns();
    Line* next = nullptr;
    for (Line* const line : lines_)
        if (!line->empty() && now <= line->oldest().due_ns + PATIENCE_NS &&
            (next == nullptr || line->oldest().due_ns < next->oldest().due_ns))
            next = line;
    if (next == nullptr)
        return 0;
    const uint64_t due = next->oldest().due_ns;
    if (now + NAP_NS + OVERSLEPT_NS < due) {
        const timespec nap{0, NAP_NS};
        return ::nanosleep(&nap, nullptr) == 0 ? 1 : 2;
    }
    const CudaScope scope(gpus_.driver(), next->gpu().context);
    for (int look = 0; look < LOOKS && next->state_of_oldest() == CuResult::NOT_READY; ++look) {}
    return 1;
}

bool Queue::arm() noexcept {
    if (!completions_.empty())
        return false;
    // Set before the look at events: a callback that runs in between finds it set.
    alarm_->set();
    for (Line* const line : lines_)
        if (!line->empty() && !call_after_oldest(*line)) {
            alarm_->clear();
            return false;
        }
    return true;
}

/// False: it is over already, or cannot be waited for.
bool Queue::call_after_oldest(Line& line) noexcept {
    const CudaScope scope(gpus_.driver(), line.gpu().context);
    if (scope.result != CuResult::SUCCESS || line.state_of_oldest() != CuResult::NOT_READY)
        return false;
    if (line.oldest().has_call)
        return true;
    alarm_->expect_call();
    const bool will_ring = line.call_after_oldest(&Alarm::ring, alarm_.get()) == CuResult::SUCCESS;
    if (!will_ring)
        alarm_->expect_no_call();
    return will_ring;
}

} // namespace nixl::core::cuda
