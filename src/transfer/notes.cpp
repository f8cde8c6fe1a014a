// SPDX-License-Identifier: Apache-2.0
// Notifications: messages that reach a peer after the data that was posted before them.
#include "base/log.h"
#include "transfer/slot_guard.h"
#include "transfer/transfers.h"

namespace nixl::core {

namespace {

/// What a note looks like to the accounting of flights: one element of 0 bytes.
constexpr nixl_run NOTE_RUN{0, 0, 0, 0, 0, 1, 0, 0};
constexpr RunView NOTE_VIEW{&NOTE_RUN, 1, 1, 0, RunShape::ONE, nullptr};

} // namespace

// ---- On the lane ------------------------------------------------------------------------------

/// The data of the request has arrived.
void Lane::send_note(Request& request) noexcept {
    Flight& flight = request.direct;
    request.note.sent = true;
    request.open_flights = 1;
    flight.generation.store(flight.generation.load(std::memory_order_relaxed) + 1,
                            std::memory_order_relaxed);
    flight.aim(NOTE_VIEW, nullptr, 0);
    flight.note = true; // the next post aims it at its data again
    flight.backend = request.note.backend;
    address(flight);
    submit_note(flight);
    settle(flight);
}

bool Lane::submit_note(Flight& flight) noexcept {
    Request& request = *flight.request;
    LaneQueue& queue = queues_[flight.backend];
    if (queue.queue == nullptr) {
        if (const auto opened = open_queue(queue, flight.backend); !opened.ok()) {
            fail(request, opened.error().code, opened.error().detail, UINT64_MAX, 0);
            return true;
        }
    }
    const Note& note = request.note;
    nixl_status status = NIXL_AGAIN;
    if (!note.alone || !has_earlier(request))
        status = queue.backend->table().notify(queue.queue, note.peer, note.message.data(),
                                               note.message.size(), flight.batch.tag);
    if (status == NIXL_AGAIN) {
        keep_pending(flight);
        return false;
    }
    if (status != NIXL_OK) {
        fail(request, static_cast<Code>(status), 0, UINT64_MAX, 0);
        return true;
    }
    if (queue.in_flight == 0)
        mark_busy(queue);
    ++queue.in_flight;
    flight.batch.first_element = 1;
    return true;
}

/// Whether something of this thread to the same peer is still under way.
bool Lane::has_earlier(const Request& request) const noexcept {
    const auto touches = [&request](const Request& other) {
        if (other.note.peer == request.note.peer)
            return true;
        for (const RegionUse& use : other.uses())
            if (use.region->peer_id == request.note.peer)
                return true;
        return false;
    };
    for (const Request* other = active_; other != nullptr; other = other->active_next)
        if (other->sequence < request.sequence && touches(*other))
            return true;
    return false;
}

void Lane::note_over(const Request& request, Code status) noexcept {
    if (status != Code::OK)
        NIXL_LOG(WARN, "a notification over " + request.route->name() +
                           " was lost: " + code_name(status));
}

// ---- From the calls ---------------------------------------------------------------------------

Code Transfers::take_note(Request& request, const PostOptions& options) noexcept {
    if (options.notification_bytes > MAX_NOTE_BYTES || options.notification == nullptr)
        return Code::OUT_OF_RANGE;
    const Route& route = *request.route;
    const Backend& backend = *route.legs[route.leg_count - 1].backend;
    for (const RegionUse& use : request.uses())
        if (use.region->peer_id != 0)
            request.note.peer = use.region->peer_id;
    if (request.note.peer == 0 || !backend.notifies()) {
        request.note.peer = 0;
        return Code::UNSUPPORTED;
    }
    const auto* text = static_cast<const uint8_t*>(options.notification);
    request.note.message.assign(text, text + options.notification_bytes);
    request.note.backend = backend.number;
    return Code::OK;
}

const Route& Transfers::note_route(Backend& backend) {
    const MutexLock lock(note_routes_mutex_);
    auto& route = note_routes_[backend.number];
    if (route == nullptr) {
        route = std::make_unique<Route>();
        route->leg_count = 1;
        route->legs[0].backend = &backend;
        route->self_driven = backend.self_driven();
    }
    return *route;
}

Result<void> Transfers::send_note(Backend& backend, nixl_peer_id peer,
                                  std::span<const uint8_t> message) {
    NIXL_ASSIGN_OR_RETURN(Request * request, take_slot());
    SlotGuard guard(*this, *request);
    const uint32_t generation = request->generation.load(std::memory_order_relaxed);
    request->route = &note_route(backend);
    const RegionUse none{&nowhere_, 0};
    request->inline_uses = {none, none};
    request->pair_count = 0;
    request->note.message.assign(message.begin(), message.end());
    request->note.peer = peer;
    request->note.backend = backend.number;
    request->note.alone = true;
    guard.keep();
    NIXL_ASSIGN_OR_RETURN(request, publish(*request));
    if (const Code code = post(*request, generation, {}); code != Code::OK)
        return Error(code, "the notification could not be started");
    if (in_turn(*request, generation, [request](Lane& lane) { lane.disown(*request); }))
        return {};
    const Code status = request->load().status;
    (void)release(*request, generation);
    if (status != Code::OK)
        return Error(status, "the notification was not delivered");
    return {};
}

} // namespace nixl::core
