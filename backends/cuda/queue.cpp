// SPDX-License-Identifier: Apache-2.0
// HOT
#include "queue.h"

#include <algorithm>
#include <ctime>

namespace nixl::core::cuda {
namespace {

constexpr uint32_t RING_ENTRIES = 1024;

/// Copies that one flight puts on its stream: each takes the driver a microsecond, inside submit().
constexpr uint32_t MAX_COPIES = 256;

const Region* region_of(const nixl_region& side) noexcept {
    return static_cast<const Region*>(side.registration);
}

Address address(const unsigned char* pointer) noexcept {
    return reinterpret_cast<uintptr_t>(pointer);
}

} // namespace

Queue::Piece Queue::take_piece(sdk::OpCursor& at) noexcept {
    const nixl_region_pair* const pair = &at.pair();
    Piece piece{address(at.target()), address(at.source()), 0, 0};
    do {
        piece.bytes += at.bytes();
        ++piece.elements;
        at.next();
    } while (!at.done() && &at.pair() == pair &&
             address(at.target()) == piece.target + piece.bytes &&
             address(at.source()) == piece.source + piece.bytes);
    return piece;
}

Queue::Queue(const sdk::Host& host, Gpus& gpus, void* host_queue)
    : host_(host), gpus_(gpus), host_queue_(host_queue), completions_(RING_ENTRIES) {}

uint64_t Queue::submit(const nixl_batch& batch) noexcept {
    sdk::OpCursor at(batch);
    while (!at.done() && completions_.room() > flights_ && start_some(at, batch)) {}
    return batch.element_count - at.elements_left();
}

/// False: no room for more.
bool Queue::start_some(sdk::OpCursor& at, const nixl_batch& batch) noexcept {
    Line* line = nullptr;
    if (const CuResult found = line_for(at.pair(), &line); found != CuResult::SUCCESS) {
        refuse(at, batch.tag, found);
        return true;
    }
    if (line->full())
        return false;
    const CudaScope scope(gpus_.driver(), line->gpu().context);
    CuResult result = scope.result;
    if (result == CuResult::SUCCESS && batch.stream != nullptr)
        result = line->wait_for(static_cast<Stream>(batch.stream), gpus_);
    Flight& flight = line->next();
    flight.tag = batch.tag;
    flight.first_element = at.element();
    flight.element_count = flight.bytes = 0;
    if (result == CuResult::SUCCESS)
        result = copy_some(*line, at, flight);
    if (flight.element_count != 0) {
        ++flights_;
        (void)line->launch(host_.now_ns()); // an error comes back when the flight is looked at
    }
    line->gpu().note(result);
    if (result != CuResult::SUCCESS && completions_.room() > flights_)
        refuse(at, batch.tag, result);
    return true;
}

CuResult Queue::copy_some(Line& line, sdk::OpCursor& at, Flight& flight) noexcept {
    const nixl_region_pair* const pair = &at.pair();
    for (uint32_t copies = 0; copies < MAX_COPIES && !at.done() && &at.pair() == pair; ++copies) {
        sdk::OpCursor ahead = at;
        const Piece piece = take_piece(ahead);
        const CuResult result = copy(line, *pair, piece);
        if (result != CuResult::SUCCESS)
            return result;
        flight.element_count += piece.elements;
        flight.bytes += piece.bytes;
        at = ahead;
    }
    return CuResult::SUCCESS;
}

CuResult Queue::copy(const Line& line, const nixl_region_pair& pair, Piece piece) noexcept {
    const Calls& call = line.gpu().driver.call;
    while (piece.bytes != 0) {
        const uint64_t bytes =
            std::min({piece.bytes, region_of(pair.source)->bytes_to_seam(piece.source),
                      region_of(pair.target)->bytes_to_seam(piece.target)});
        const CuResult result = call.copy(piece.target, piece.source, bytes, line.stream());
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
    completions_.add_single(sdk::failed(tag, at.element(), count,
                                        static_cast<nixl_status>(code_from_cuda(why)),
                                        static_cast<int32_t>(why)));
    at.skip(count);
}

CuResult Queue::line_for(const nixl_region_pair& pair, Line** out) noexcept {
    const Region *const source = region_of(pair.source), *const target = region_of(pair.target);
    if (source == nullptr || target == nullptr ||
        (source->gpu == nullptr && target->gpu == nullptr))
        return CuResult::INVALID_VALUE;
    Gpu& gpu = source->gpu != nullptr ? *source->gpu : *target->gpu;
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
    if (scope.result != CuResult::SUCCESS)
        return end_all(line, scope.result);
    while (!line.empty()) {
        const CuResult state = line.state_of_oldest();
        if (state == CuResult::NOT_READY)
            return;
        if (state != CuResult::SUCCESS)
            return end_all(line, state);
        const Flight& flight = line.oldest();
        completions_.add_whole(
            sdk::whole(flight.tag, flight.first_element, flight.element_count, flight.bytes));
        line.drop_oldest();
        --flights_;
    }
}

/// A stream that had an error runs nothing more, so all of them are over.
void Queue::end_all(Line& line, CuResult why) noexcept {
    for (; !line.empty(); line.drop_oldest(), --flights_) {
        const Flight& flight = line.oldest();
        completions_.add_single(sdk::failed(flight.tag, flight.first_element, flight.element_count,
                                            static_cast<nixl_status>(code_from_cuda(why)),
                                            static_cast<int32_t>(why)));
    }
}

/// Sleeps through the first part of what takes long, and looks in a loop for the rest: being called
/// back takes the driver some 100 us. 0: nothing is under way, or it is overdue, since the GPU has
/// other work.
int Queue::assist() noexcept {
    constexpr uint64_t NAP_NS = 100'000, OVERSLEPT_NS = 100'000, PATIENCE_NS = 1'000'000;
    constexpr int LOOKS = 20;
    Line* next = nullptr;
    for (Line* const line : lines_)
        if (!line->empty() && (next == nullptr || line->oldest().due_ns < next->oldest().due_ns))
            next = line;
    if (next == nullptr)
        return 0;
    const uint64_t now = host_.now_ns(), due = next->oldest().due_ns;
    if (now > due + PATIENCE_NS)
        return 0;
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
    // seq_cst: a callback that runs between here and the look at an event finds it set.
    armed_.store(true);
    for (Line* const line : lines_)
        if (!line->empty() && !call_after_oldest(*line)) {
            armed_.store(false);
            return false;
        }
    return true;
}

/// False: it is over already, or cannot be waited for.
bool Queue::call_after_oldest(Line& line) noexcept {
    const CudaScope scope(gpus_.driver(), line.gpu().context);
    return scope.result == CuResult::SUCCESS && line.state_of_oldest() == CuResult::NOT_READY &&
           line.call_after_oldest(&Queue::wake, this) == CuResult::SUCCESS;
}

/// A callback of an earlier arm() may come late and wake in vain; the driver arms again then.
void Queue::wake(Stream, CuResult, void* queue) noexcept {
    auto& self = *static_cast<Queue*>(queue);
    if (self.armed_.exchange(false))
        self.host_.wake(self.host_queue_);
}

} // namespace nixl::core::cuda
