// SPDX-License-Identifier: Apache-2.0
// HOT
#include "queue.h"

#include <algorithm>
#include <ctime>

#include "gather.h"

namespace nixl::core::cuda {
namespace {

constexpr uint32_t RING_ENTRIES = 1024;

/// Elements of such regions go one by one, so that a piece is never more than MAX_SEAMS copies.
bool has_seams(const Piece& piece) noexcept {
    return !piece.source_region->seams.empty() || !piece.target_region->seams.empty();
}

/// Whether two pieces go the same way, on the same GPU.
bool is_of_one_line(const Piece& a, const Piece& b) noexcept {
    return a.source_region->gpu == b.source_region->gpu &&
           a.target_region->gpu == b.target_region->gpu;
}

nixl_completion ended(uint64_t tag, uint64_t first, uint64_t count, CuResult why) noexcept {
    return sdk::failed(tag, first, count, static_cast<nixl_status>(code_from_cuda(why)),
                       static_cast<int32_t>(why));
}

} // namespace

Queue::Queue(const sdk::Host& host, Gpus& gpus, const EnginePolicy& policy,
             const WindowPolicy& windows, void* host_queue)
    : host_(host), gpus_(gpus), policy_(policy), windows_(windows), completions_(RING_ENTRIES),
      // allow(hot): at queue_open().
      alarm_(std::make_unique<Alarm>(host, host_queue)), joins_(gpus.driver()) {}

uint64_t Queue::submit(const nixl_batch& batch) noexcept {
    if (!has_room())
        return 0;
    Submission work{Elements(batch), batch.tag, choose(batch, policy_), gpus_.next_occasion()};
    if (batch.stream != nullptr)
        join(static_cast<Stream>(batch.stream), &work);
    while (!work.at.done() && has_room() && start_some(work)) {}
    if (batch.stream != nullptr && work.at.done())
        joins_.forget(batch.tag);
    return batch.element_count - work.at.left();
}

void Queue::join(Stream stream, Submission* out) noexcept {
    const Gpu* const gpu = gpu_for(out->at.here(), out->choice.engine, policy_);
    if (gpu == nullptr) {
        out->joined = CuResult::INVALID_VALUE;
        return;
    }
    const CudaScope scope(gpus_.driver(), gpu->context); // some context has to be current
    out->joined = joins_.event_of(out->tag, stream, &out->event);
}

/// False: no room for more.
bool Queue::start_some(Submission& work) noexcept {
    Line* line = nullptr;
    CuResult result = work.joined;
    if (result == CuResult::SUCCESS)
        result = line_for(work.at.here(), work.choice.engine, &line);
    if (result == CuResult::SUCCESS && line->full())
        return false;
    if (result != CuResult::SUCCESS) {
        refuse(work, result);
        return true;
    }
    const CudaScope scope(gpus_.driver(), line->gpu().context);
    result = scope.result;
    const bool by_kernel = result == CuResult::SUCCESS && goes_by_kernel(*line, work);
    // Before anything is put on the stream: an offer that is refused again and again would fill it.
    const GatherOptions options{policy_.sm_budget, work.choice.engine == Engine::BULK_KERNEL,
                                work.occasion};
    if (by_kernel && !line->has_table() && needs_table(*line, work.at, options))
        return false;
    if (result == CuResult::SUCCESS && work.event != nullptr)
        result = line->wait_for(work.event);
    if (result != CuResult::SUCCESS) {
        line->gpu().note(result);
        refuse(work, result);
        return true;
    }
    Flight& flight = line->next();
    flight.begin(work.tag, work.at.element());
    if (!by_kernel)
        copy_some(*line, flight, work);
    else if (!gather_some(*line, flight, work.at, options))
        return false;
    if (flight.copies == 0) { // nothing of it is on the stream
        completions_.add_single(
            ended(work.tag, flight.first_element, flight.failed_count, flight.why));
        line->forget(flight);
        return true;
    }
    line->launch(host_.now_ns());
    ++flights_;
    return true;
}

bool Queue::goes_by_kernel(Line& line, const Submission& work) noexcept {
    return is_kernel(work.choice.engine) && work.at.here().bytes < work.choice.long_bytes &&
           line.open_tables();
}

/// A piece that fails ends the flight: it may be on the stream in part, so it ends with it.
void Queue::copy_some(Line& line, Flight& flight, Submission& work) noexcept {
    Elements& at = work.at;
    const Piece first = at.here(); // goes here: start_some() has looked
    const bool in_batches = work.choice.engine == Engine::BATCH && line.can_batch();
    const auto goes_on = [&] {
        return flight.element_count == 0 ||
               (is_of_one_line(first, at.here()) && can_copy(line.gpu(), at.here()) &&
                !goes_by_kernel(line, work));
    };
    while (flight.copies < Line::FLIGHT_COPIES && !at.done() && goes_on()) {
        uint64_t elements = 0;
        const Piece piece = take_piece(at, &elements);
        const Region* const both[] = {piece.source_region, piece.target_region};
        flight.why = in_batches ? check_alive(line.gpu(), both, work.occasion) : CuResult::SUCCESS;
        if (flight.why == CuResult::SUCCESS)
            flight.why = copy(line, flight, piece, in_batches);
        if (flight.why != CuResult::SUCCESS) {
            flight.failed_count = elements;
            break;
        }
        flight.element_count += elements;
        flight.bytes += piece.bytes;
    }
    if (in_batches)
        send_batch(line, flight);
}

/// Of a batch that fails, all counts as failed.
void Queue::send_batch(Line& line, Flight& flight) noexcept {
    const CuResult result = line.send_batch();
    if (result == CuResult::SUCCESS)
        return;
    flight.why = result;
    flight.failed_count += flight.element_count;
    flight.element_count = flight.bytes = 0;
}

Piece Queue::take_piece(Elements& at, uint64_t* elements) noexcept {
    Piece piece = at.here();
    at.next();
    for (*elements = 1; !at.done() && !has_seams(piece); ++*elements) {
        const Piece next = at.here();
        if (!piece.is_followed_by(next))
            break;
        piece.bytes += next.bytes;
        at.next();
    }
    return piece;
}

CuResult Queue::copy(Line& line, Flight& flight, Piece piece, bool in_batches) noexcept {
    while (piece.bytes != 0) {
        const uint64_t bytes =
            std::min({piece.bytes, piece.source_region->bytes_to_seam(piece.source),
                      piece.target_region->bytes_to_seam(piece.target)});
        CuResult result = CuResult::SUCCESS;
        if (in_batches)
            line.add_to_batch(flight, piece.target, piece.source, bytes);
        else
            result = line.copy(flight, piece.target, piece.source, bytes);
        if (result != CuResult::SUCCESS)
            return result;
        piece.target += bytes;
        piece.source += bytes;
        piece.bytes -= bytes;
    }
    return CuResult::SUCCESS;
}

/// The next element, and as many of its run as there are where nothing works any more, ends here.
void Queue::refuse(Submission& work, CuResult why) noexcept {
    const uint64_t count = is_device_lost(why) ? work.at.left_in_run() : 1;
    completions_.add_single(ended(work.tag, work.at.element(), count, why));
    work.at.skip(count);
}

CuResult Queue::line_for(const Piece& piece, Engine engine, Line** out) noexcept {
    Gpu* const gpu = gpu_for(piece, engine, policy_);
    if (gpu == nullptr)
        return CuResult::INVALID_VALUE;
    for (const Gpu* const end : {piece.source_region->gpu, piece.target_region->gpu})
        if (end != nullptr && end->is_lost())
            return static_cast<CuResult>(end->fault.load(std::memory_order_relaxed));
    return lines_.get(*gpu, way_of(piece), out);
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
