// SPDX-License-Identifier: Apache-2.0
// HOT
// Completions: adding up, asking again for what came back short, and the end of a request.
#include <bit>

#include "base/log.h"
#include "transfer/lane.h"
#include "transfer/pipeline.h"
#include "transfer/transfers.h"

namespace nixl::core {

namespace {

constexpr uint32_t POLL_ENTRIES = 32;
constexpr uint32_t POLL_ROUNDS = 64; // of one turn, so that it ends

uint64_t element_bytes(const Flight& flight, uint64_t element) noexcept {
    const RunView& view = *flight.view;
    if (view.runs == nullptr)
        return flight.request->lists->bytes_at(flight, element);
    return view.runs[view.shape == RunShape::ONE ? 0 : find_element(view, element).run].bytes;
}

} // namespace

bool Lane::progress() noexcept {
    bool moved = false;
    uint32_t left = busy_queues_;
    if (woken_.load(std::memory_order_relaxed) != 0)
        left |= woken_.exchange(0);
    for (; left != 0; left &= left - 1)
        moved |= poll_queue(queues_[static_cast<size_t>(std::countr_zero(left))]);
    if (pending_ != nullptr)
        moved |= retry_pending();
    if (inbox_.load(std::memory_order_relaxed) != nullptr)
        moved |= drain_inbox();
    return moved;
}

bool Lane::poll_queue(LaneQueue& queue) noexcept {
    bool moved = false;
    if (queue.queue == nullptr)
        return false;
    armed_ = false;
    for (uint32_t round = 0; round < POLL_ROUNDS; ++round) {
        nixl_completion entries[POLL_ENTRIES];
        const uint32_t count = queue.backend->table().poll(queue.queue, entries, POLL_ENTRIES);
        for (uint32_t i = 0; i < count; ++i)
            complete(queue, entries[i]);
        moved |= count != 0;
        if (count < POLL_ENTRIES || queue.in_flight == 0)
            break;
    }
    if (queue.in_flight == 0) {
        busy_queues_ &= ~(1u << queue.backend->number);
        if (queue.fd >= 0)
            fd_queues_.fetch_and(~(1u << queue.backend->number));
    }
    return moved;
}

Flight* Lane::flight_of(uint64_t tag) noexcept {
    const auto index = static_cast<uint32_t>(tag);
    const auto generation = static_cast<uint32_t>(tag >> 32);
    if ((index & DIRECT_FLIGHT_TAG) == 0)
        return shared_.flights().find(index, generation);
    if ((index & ~DIRECT_FLIGHT_TAG) >= shared_.requests().size())
        return nullptr;
    Flight& flight = shared_.requests().at(index & ~DIRECT_FLIGHT_TAG).direct;
    return flight.generation.load(std::memory_order_relaxed) == generation &&
                   flight.request->load().in_flight()
               ? &flight
               : nullptr;
}

void Lane::complete(LaneQueue& queue, const nixl_completion& done) noexcept {
    Flight* flight = flight_of(done.tag);
    if (flight == nullptr) {
        contract_broken(queue, "completed a tag that is not in flight");
        return;
    }
    const uint64_t accepted = flight->accepted();
    if (done.element_count == 0 || done.element_count > accepted - flight->completed ||
        done.first_element > accepted - done.element_count) {
        contract_broken(queue, "completed elements that it did not accept, or twice");
        return;
    }
    Request& request = *flight->request;
    if (done.completed_ns > request.completed_ns)
        request.completed_ns = done.completed_ns;
    queue.in_flight -= done.element_count;
    flight->completed += done.element_count;
    if (done.status != NIXL_OK) {
        if (flight->last_leg())
            request.bytes_done += done.bytes;
        fail(request, static_cast<Code>(done.status), done.detail,
             flight->base_element + done.first_element, flight->leg);
    } else if (done.element_count == 1 && done.bytes < element_bytes(*flight, done.first_element)) {
        retry_short(*flight, done.first_element, done);
    } else if (flight->note) {
        // Nothing to add up.
    } else if (flight->last_leg()) {
        request.bytes_done += done.bytes;
        request.elements_done += done.element_count;
    } else {
        request.staged_bytes += done.bytes;
    }
    settle(*flight);
}

void Lane::retry_short(Flight& flight, uint64_t element, const nixl_completion& done) noexcept {
    Request& request = *flight.request;
    if (flight.last_leg())
        request.bytes_done += done.bytes;
    else
        request.staged_bytes += done.bytes;
    // One further on may have been the first to find that the other end has no more.
    if (request.stopped && request.error != Code::SHORT_TRANSFER)
        return;
    if (done.bytes == 0 || request.stopped) {
        fail(request, Code::SHORT_TRANSFER, done.detail, flight.base_element + element, flight.leg);
        return;
    }
    Flight* rest = open_flight(request);
    if (rest == nullptr) {
        fail(request, Code::AGAIN, 0, flight.base_element + element, flight.leg);
        return;
    }
    if (flight.view->runs == nullptr) {
        rest->own_run = request.lists->run_at(flight, element, done.bytes);
    } else {
        const RunPosition at = find_element(*flight.view, element);
        rest->own_run = element_of(flight.view->runs[at.run], at.in_run, done.bytes);
    }
    rest->backend = flight.backend;
    rest->own_view = {&rest->own_run, 1, 1, rest->own_run.bytes, RunShape::ONE, nullptr};
    rest->aim(rest->own_view, flight.batch.pairs, flight.batch.pair_count);
    rest->base_element = flight.base_element + element;
    rest->leg = flight.leg;
    rest->chunk = flight.chunk;
    if (rest->chunk == Flight::NO_CHUNK)
        ++request.open_flights;
    else
        request.pipeline->count_flight(rest->chunk);
    shared_.telemetry().short_retry();
    address(*rest);
    submit(*rest);
}

void Lane::fail(Request& request, Code code, int32_t detail, uint64_t element,
                uint32_t leg) noexcept {
    request.stopped = true;
    if (request.cancelled && code == Code::CANCELLED)
        return;
    // The first error counts; where several elements have it, the lowest of them.
    if (request.error != Code::OK && (request.error != code || element >= request.first_bad))
        return;
    request.error = code;
    request.detail = detail;
    request.first_bad = element;
    request.bad_leg = leg;
}

bool Lane::retry_pending() noexcept {
    bool moved = false;
    uint32_t full = 0; // backends that refused in this pass
    refusing_ = 0;
    Flight* flight = std::exchange(pending_, nullptr);
    pending_end_ = &pending_;
    while (flight != nullptr) {
        Flight* next = flight->next;
        const uint32_t bit = 1u << flight->backend;
        flight->pending = false;
        if (flight->request->stopped) {
            settle(*flight);
            moved = true;
        } else if (flight->note) {
            moved |= submit_note(*flight);
            settle(*flight);
        } else if ((full & bit) != 0) {
            keep_pending(*flight);
        } else {
            const uint64_t before = flight->accepted();
            if (!submit(*flight))
                full |= bit;
            moved |= flight->accepted() != before;
            settle(*flight); // when its queue could not be opened
        }
        flight = next;
    }
    refusing_ = full;
    return moved;
}

void Lane::settle(Flight& flight) noexcept {
    if (flight.completed == flight.accepted() && !flight.pending &&
        (flight.completed == flight.view->elements || flight.request->stopped))
        finish_flight(flight);
}

void Lane::finish_flight(Flight& flight) noexcept {
    Request& request = *flight.request;
    if (flight.chunk != Flight::NO_CHUNK) {
        request.pipeline->flight_done(*this, request, flight);
        return;
    }
    if (flight.pooled)
        close_flight(flight);
    if (--request.open_flights == 0)
        finish(request);
}

void Lane::unlink_active(Request& request) noexcept {
    *request.active_of = request.active_next;
    if (request.active_next != nullptr)
        request.active_next->active_of = request.active_of;
    request.active_next = nullptr;
    request.active_of = nullptr;
}

void Lane::finish(Request& request) noexcept {
    Code status = request.error;
    const uint64_t legs_between = request.route->leg_count - 1;
    if (status == Code::OK && (request.bytes_done != request.view.bytes ||
                               request.staged_bytes != legs_between * request.view.bytes))
        status = request.cancelled ? Code::CANCELLED : Code::INTERNAL;
    if (status == Code::OK && request.note.peer != 0 && !request.note.sent) {
        send_note(request);
        return;
    }
    if (request.counted)
        Transfers::remove_users(request);
    if (starting_ == &request)
        starting_ = nullptr;
    unlink_active(request);
    if (request.pipeline != nullptr)
        request.pipeline->end(shared_);
    if (request.background) {
        request.background = false;
        background_.fetch_sub(1);
    }
    if (request.timed)
        count_deadline(request, false);
    if (request.posted_ns != 0 || request.options.queue != nullptr)
        measure(request, status);
    changed_ = true;
    if (request.orphaned) { // reported when it was released
        if (request.note.alone)
            note_over(request, status);
        else
            shared_.telemetry().abandoned(-1);
        shared_.free_slot(request);
        return;
    }
    const RequestState state = request.load();
    if (state.phase == Phase::DRAINING) { // reported at its deadline
        shared_.telemetry().abandoned(-1);
        request.lane.store(nullptr, std::memory_order_relaxed);
        request.set(Phase::IDLE, state.status);
        return;
    }
    report(request, status, Phase::IDLE);
}

void Lane::report(Request& request, Code status, Phase phase) noexcept {
    changed_ = true;
    if (request.options.queue == nullptr && request.options.done == nullptr) {
        if (phase == Phase::IDLE)
            request.lane.store(nullptr, std::memory_order_relaxed);
        request.set(phase, status);
        return;
    }
    // After the store below another thread may post it again: everything is read before.
    const PostOptions options = request.options;
    const nixl_request handle = Transfers::handle_of(request);
    nixl_event event{};
    if (options.queue != nullptr)
        event = {handle,
                 static_cast<nixl_status>(status),
                 request.detail,
                 request.bytes_done,
                 request.completed_ns,
                 request.first_bad == UINT64_MAX ? UINT64_MAX : shared_.user_element(request),
                 options.user};
    if (options.done != nullptr)
        request.callbacks_running.fetch_add(1, std::memory_order_relaxed);
    if (phase == Phase::IDLE)
        request.lane.store(nullptr, std::memory_order_relaxed);
    request.set(phase, status);
    if (options.queue != nullptr)
        options.queue->push(event);
    if (options.done != nullptr)
        // allow(hot): within what was reserved, but for more than 64 callbacks of one turn.
        due_.push_back(
            {options.done, options.user, handle, static_cast<nixl_status>(status), &request, this});
}

} // namespace nixl::core
