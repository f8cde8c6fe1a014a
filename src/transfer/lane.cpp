// SPDX-License-Identifier: Apache-2.0
// HOT
// Turns of a lane, starting requests, submitting flights.
#include "transfer/lane.h"

#include <algorithm>
#include <bit>

#include "base/log.h"
#include "transfer/completion_queue.h"
#include "transfer/pipeline.h"
#include "transfer/transfers.h"

namespace nixl::core {

namespace {

/// What fell due inside a callback: run after it, so that callbacks that post never nest.
std::vector<DueCallback>& due_later() noexcept {
    // allow(hot): touched only when callbacks run.
    thread_local std::vector<DueCallback> later;
    return later;
}

} // namespace

Lane::Lane(Transfers& shared, uint32_t lane_number) : number(lane_number), shared_(shared) {
    // allow(hot): at start-up.
    due_.reserve(64); // callbacks of one turn; grows only beyond that
    for (auto& queue : queues_)
        queue.lane = this;
}

Lane::~Lane() { close_queues(); }

void Lane::enter() noexcept {
    while (!try_enter()) {
        // A turn is short, see assist(). Yielding lets its thread run on a busy machine.
        std::this_thread::yield();
    }
}

void Lane::leave() noexcept {
    for (;;) {
        std::array<DueCallback, 8> callbacks;
        const size_t count = due_.empty() ? 0 : take_due(callbacks);
        const bool more = !due_.empty();
        bool tell = std::exchange(changed_, false), disarmed = false;
        // What this turn took from the backends is not going to wake who armed them before.
        if (busy_queues_ != 0 && !armed_) {
            disarmed = !(has_sleepers() || watched.load());
            tell |= !disarmed && !arm();
        }
        // Sequentially consistent with post(): either it sees the lane free, or we see its inbox;
        // and with sleep(): either the sleeper sees its request done, or we see the sleeper.
        driver_.exchange(0);
        if (disarmed)
            epoch_.fetch_add(1); // nobody sleeps yet: who is about to looks again
        if ((tell || disarmed) && (has_sleepers() || watched.load()))
            notify();
        if (count != 0)
            shared_.waiter_left(); // for as long as the callbacks take
        for (size_t i = 0; i < count; ++i)
            deliver(callbacks[i]);
        if (!more && inbox_.load() == nullptr)
            return;
        if (!try_enter())
            return; // the new driver looks at both when it leaves
        drain_inbox();
    }
}

size_t Lane::take_due(std::array<DueCallback, 8>& out) noexcept {
    const size_t count = std::min(due_.size(), out.size());
    std::copy_n(due_.begin(), count, out.begin());
    due_.erase(due_.begin(), due_.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
}

void Lane::deliver(const DueCallback& due) noexcept {
    ThreadRole& role = thread_role();
    if (role.in_callback != 0) {
        // allow(hot): only when a callback ends another transfer.
        due_later().push_back(due);
        return;
    }
    run_callback(due);
    while (!due_later().empty()) {
        const std::vector<DueCallback> now = std::exchange(due_later(), {});
        for (const DueCallback& next : now)
            run_callback(next);
    }
}

void Lane::run_callback(const DueCallback& due) noexcept {
    ++thread_role().in_callback;
    due.done(due.user, due.request, due.status);
    --thread_role().in_callback;
    // The slot may serve another transfer by now; the count is of callbacks, not of generations.
    due.slot->callbacks_running.fetch_sub(1, std::memory_order_release);
    due.lane->notify(); // a waiter returns only after the callback
}

Code Lane::post(Request& request) noexcept {
    if (try_enter()) {
        if (inbox_.load(std::memory_order_relaxed) != nullptr)
            drain_inbox();
        const bool usable = Transfers::regions_usable(request);
        const bool may_move = (movers_ >> request.direct.backend & 1) != 0;
        if (usable && !(may_move && move_now(request)))
            start(request);
        leave();
        return usable ? Code::OK : Code::STALE;
    }
    if (!Transfers::add_users(request))
        return Code::STALE;
    request.counted = true;
    request.direct.batch.flags = 0; // whoever submits it is not the one who waits
    Request* head = inbox_.load(std::memory_order_relaxed);
    do {
        request.inbox_next = head;
    } while (!inbox_.compare_exchange_weak(head, &request)); // seq_cst, pairs with leave()
    if (!try_enter())
        return Code::OK; // whoever drives looks at the inbox when it leaves
    drain_inbox();
    leave();
    return Code::OK;
}

/// What a backend moves at once never becomes a flight. False: it goes the usual way. Nobody can
/// have stopped or released it yet: that takes a started one.
bool Lane::move_now(Request& request) noexcept {
    Flight& flight = request.direct;
    const LaneQueue& queue = queues_[flight.backend];
    if (request.pipeline != nullptr || request.note.peer != 0 || flight.view->elements == 0)
        return false;
    const uint64_t most = queue.backend->caps().max_batch_elements;
    if (most != 0 && flight.view->elements > most)
        return false;
    flight.batch.element_count = flight.view->elements;
    if (queue.backend->table().move_now(queue.queue, &flight.batch) != NIXL_OK)
        return false;
    request.bytes_done = flight.view->bytes;
    request.elements_done = flight.view->elements;
    if (request.posted_ns != 0 || request.options.queue != nullptr)
        measure(request, Code::OK);
    report(request, Code::OK, Phase::IDLE);
    return true;
}

bool Lane::drain_inbox() noexcept {
    Request* newest = inbox_.exchange(nullptr, std::memory_order_acquire);
    Request* oldest = nullptr;
    while (newest != nullptr) { // it was pushed last in, first out
        Request* next = std::exchange(newest->inbox_next, oldest);
        oldest = newest;
        newest = next;
    }
    const bool any = oldest != nullptr;
    while (oldest != nullptr) {
        Request* next = oldest->inbox_next; // start() may end it, and it may be posted again
        start(*oldest);
        oldest = next;
    }
    return any;
}

void Lane::start(Request& request) noexcept {
    link_active(request);
    const PostOptions& options = request.options;
    const bool wants_background = options.done != nullptr || !request.route->self_driven ||
                                  (options.queue != nullptr && options.queue->armed());
    request.started = true;
    request.sequence = ++sequence_;
    if (!options.wait && wants_background)
        keep_watched(request);
    if (options.deadline_ns != 0)
        count_deadline(request, true);
    const uint32_t backend = request.direct.backend;
    const bool direct = request.pipeline == nullptr;
    starting_ = &request;
    begin_flights(request); // it may be over after this, and even posted again
    if (direct && queues_[backend].in_flight != 0 && (late_ >> backend & 1) == 0)
        poll_queue(queues_[backend]);
    if (starting_ != nullptr) // goes on after this turn
        Transfers::keep_users(*starting_);
    starting_ = nullptr;
    if (!direct)
        progress(); // may start others
    if (background() != 0)
        shared_.want_progress();
}

void Lane::begin_flights(Request& request) noexcept {
    if (request.pipeline != nullptr) {
        request.pipeline->begin(*this, request);
        return;
    }
    request.open_flights = 1;
    if (request.direct.view->elements != 0 && !request.stopped) {
        if ((refusing_ >> request.direct.backend & 1) != 0)
            keep_pending(request.direct); // behind those that wait for room already
        else
            submit(request.direct);
    }
    settle(request.direct);
}

bool Lane::submit(Flight& flight) noexcept {
    LaneQueue& queue = queues_[flight.backend];
    if (queue.queue == nullptr) {
        if (const auto opened = open_queue(queue, flight.backend); !opened.ok()) {
            fail(*flight.request, opened.error().code, opened.error().detail, 0, flight.leg);
            return true; // nothing is kept; settle() ends it
        }
    }
    nixl_batch& batch = flight.batch;
    const uint64_t elements = flight.view->elements;
    const uint64_t most = queue.backend->caps().max_batch_elements;
    while (batch.first_element < elements) {
        const uint64_t left = elements - batch.first_element;
        batch.element_count = most != 0 && left > most ? most : left;
        uint64_t taken = queue.backend->table().submit(queue.queue, &batch);
        if (taken > batch.element_count) {
            contract_broken(queue, "submit() accepted more elements than it was given");
            taken = batch.element_count;
        }
        if (taken != 0) {
            if (queue.in_flight == 0)
                mark_busy(queue);
            queue.in_flight += taken;
            batch.first_element += taken;
            if (taken == left)
                return true; // the usual case: nothing is left to find the place of
            const RunPosition next =
                advance(*flight.view, {batch.first_run, batch.first_in_run}, taken);
            batch.first_run = next.run;
            batch.first_in_run = next.in_run;
        }
        if (taken < batch.element_count) {
            refusing_ |= 1u << flight.backend;
            keep_pending(flight);
            return false;
        }
    }
    return true;
}

void Lane::keep_pending(Flight& flight) noexcept {
    if (flight.pending)
        return;
    flight.pending = true;
    flight.next = nullptr;
    *pending_end_ = &flight;
    pending_end_ = &flight.next;
    if (!flight.request->options.wait) // somebody must offer the rest
        keep_watched(*flight.request);
}

void Lane::keep_watched(Request& request) noexcept {
    if (request.background)
        return;
    request.background = true;
    background_.fetch_add(1);
}

void Lane::count_deadline(Request& request, bool counted) noexcept {
    request.timed = counted;
    timed_ += counted ? 1 : -1u;
    changed_ = true; // who sleeps has to sleep no longer than this
}

void Lane::mark_busy(LaneQueue& queue) noexcept {
    const uint32_t bit = 1u << queue.backend->number;
    busy_queues_ |= bit;
    changed_ = true; // who sleeps has not armed it
    if (queue.fd < 0)
        return;
    fd_queues_.fetch_or(bit);
    if (fd_sleeper_.load()) // it does not poll this descriptor yet
        wake_->signal();
}

void Lane::link_active(Request& request) noexcept {
    request.active_next = active_;
    request.active_of = &active_;
    if (active_ != nullptr)
        active_->active_of = &request.active_next;
    active_ = &request;
}

Flight* Lane::open_flight(Request& request) noexcept {
    Flight* flight = shared_.flights().take();
    if (flight == nullptr)
        return nullptr;
    flight->request = &request;
    flight->chunk = Flight::NO_CHUNK;
    flight->pooled = true;
    flight->pending = false;
    flight->sibling = request.flights;
    flight->sibling_of = &request.flights;
    if (request.flights != nullptr)
        request.flights->sibling_of = &flight->sibling;
    request.flights = flight;
    return flight;
}

void Lane::close_flight(Flight& flight) noexcept {
    *flight.sibling_of = flight.sibling;
    if (flight.sibling != nullptr)
        flight.sibling->sibling_of = flight.sibling_of;
    SlotMap<Flight>::retire(flight);
    shared_.flights().give(flight);
}

} // namespace nixl::core
