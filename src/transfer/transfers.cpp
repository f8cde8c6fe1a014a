// SPDX-License-Identifier: Apache-2.0
// HOT
// Posting, polling, waiting and ending requests.
#include "transfer/transfers.h"

#include <thread>

#include "base/clock.h"
#include "transfer/pipeline.h"
#include "transfer/progress.h"

namespace nixl::core {

namespace {

// Sleeping and waking cost some 5 us each; shorter waits spin.
constexpr uint32_t SPIN_ROUNDS = 200;
// For backends that can neither wake us nor be polled on a descriptor, and for lanes whose driver
// is busy with work of its own.
constexpr int64_t SLICE_NS = 50'000;

std::atomic<uint32_t> next_hint{0};

} // namespace

ThreadRole& thread_role() noexcept {
    thread_local ThreadRole role;
    return role;
}

Lane& Transfers::my_lane() noexcept {
    // A hint that outlives nothing: any lane serves, the same one is merely free more often.
    thread_local const uint32_t hint = next_hint.fetch_add(1, std::memory_order_relaxed);
    return *lanes_[hint % lanes_.size()];
}

bool Transfers::regions_usable(const Request& request) noexcept {
    for (const RegionUse& use : request.uses())
        if (!use.region->usable(use.generation))
            return false;
    return true;
}

void Transfers::keep_users(Request& request) noexcept {
    if (request.counted)
        return;
    for (const RegionUse& use : request.uses())
        use.region->keep_user();
    request.counted = true;
}

void Transfers::remove_users(Request& request) noexcept {
    for (const RegionUse& use : request.uses())
        use.region->remove_user();
    request.counted = false;
}

void Transfers::settle_turns() noexcept {
    for (const auto& lane : lanes_) {
        if (!lane->driven())
            continue; // later turns see what was changed before this call
        lane->enter();
        lane->leave();
    }
}

bool Transfers::add_users(Request& request) noexcept {
    const auto uses = request.uses();
    for (size_t i = 0; i < uses.size(); ++i) {
        if (uses[i].region->add_user(uses[i].generation))
            continue;
        while (i-- > 0)
            uses[i].region->remove_user();
        return false;
    }
    return true;
}

Code Transfers::begin_post(Request& request, uint64_t* before) noexcept {
    *before = request.state.load(std::memory_order_relaxed);
    constexpr uint64_t POSTED = RequestState{Phase::POSTED, Code::IN_PROGRESS}.pack();
    do {
        const Phase phase = RequestState::unpack(*before).phase;
        if (phase != Phase::IDLE)
            return phase == Phase::FREE ? Code::STALE : Code::BUSY;
    } while (!request.state.compare_exchange_weak(*before, POSTED, std::memory_order_acquire));
    return Code::OK;
}

Code Transfers::undo_post(Request& request, uint64_t before, Code why) noexcept {
    request.state.store(before, std::memory_order_release);
    return why;
}

Code Transfers::post(Request& request, const PostOptions& options) noexcept {
    uint64_t before = 0;
    if (const Code code = begin_post(request, &before); code != Code::OK)
        return code;
    if (request.lists != nullptr) {
        if (request.lists->all.runs == nullptr)
            return undo_post(request, before, Code::INVALID_ARGUMENT);
        request.view = request.lists->all;
        request.direct.aim(request.view, request.pairs(), request.pair_count);
    }
    return launch(request, options, before);
}

Code Transfers::launch(Request& request, const PostOptions& options, uint64_t before) noexcept {
    if (options.path_policy == NIXL_PATH_REQUIRE_DIRECT && !request.route->direct())
        return undo_post(request, before, Code::UNSUPPORTED);
    const bool queued = options.queue == nullptr || options.queue->reserve();
    Code refused = queued ? Code::OK : Code::AGAIN;
    if (queued && request.pipeline != nullptr) {
        refused = request.pipeline->reserve(*this, request);
        if (refused != Code::OK && options.queue != nullptr)
            options.queue->unreserve();
    }
    if (refused != Code::OK)
        return undo_post(request, before, refused);
    request.options = options;
    request.deadline.store(0, std::memory_order_relaxed);
    request.posted_ns = 0;
    request.completed_ns = 0;
    request.bytes_done = request.elements_done = request.staged_bytes = 0;
    request.first_bad = UINT64_MAX;
    request.error = Code::OK;
    request.detail = 0;
    request.stopped = request.cancelled = request.background = false;
    request.measured = telemetry_.enabled();
    if (request.measured)
        request.posted_ns = telemetry_.started();
    if (options.deadline_ns > 0) {
        if (request.posted_ns == 0)
            request.posted_ns = now_ns();
        request.deadline.store(request.posted_ns + static_cast<uint64_t>(options.deadline_ns),
                               std::memory_order_relaxed);
    }
    Flight& flight = request.direct;
    flight.generation.store(flight.generation.load(std::memory_order_relaxed) + 1,
                            std::memory_order_relaxed);
    flight.rewind();
    Lane::address(flight);
    Lane& lane = my_lane();
    request.lane.store(&lane, std::memory_order_release);
    return lane.post(request) == Code::OK ? Code::OK : undo_launch(request, before);
}

/// Cold: a region was freed meanwhile, and nothing was started.
Code Transfers::undo_launch(Request& request, uint64_t before) noexcept {
    if (request.pipeline != nullptr)
        request.pipeline->end(*this);
    if (request.options.queue != nullptr)
        request.options.queue->unreserve();
    if (request.measured)
        telemetry_.finished(now_ns(), 0, true);
    request.lane.store(nullptr, std::memory_order_relaxed);
    return undo_post(request, before, Code::STALE);
}

Code Transfers::poll(Request& request) noexcept {
    RequestState state = request.load();
    if (state.phase != Phase::POSTED)
        return state.status;
    Lane* lane = request.lane.load(std::memory_order_acquire);
    if (lane != nullptr && lane->try_enter()) {
        lane->progress();
        if (request.deadline.load(std::memory_order_relaxed) != 0)
            lane->expire(now_ns());
        lane->leave();
        state = request.load();
    }
    return state.status;
}

/// One round of a wait, as the driver if the lane is free.
Transfers::Round Transfers::drive_for(Request& request, Lane& lane) noexcept {
    if (!lane.try_enter())
        return Round::LANE_TAKEN;
    Round round = lane.progress() ? Round::MOVED : Round::IDLE;
    if (request.deadline.load(std::memory_order_relaxed) != 0)
        lane.expire(now_ns());
    if (round == Round::IDLE && request.load().phase == Phase::POSTED) {
        if (lane.assist())
            round = Round::MOVED;
        else if (!lane.arm())
            round = Round::MOVED;
        else if (lane.must_be_polled())
            round = Round::MUST_POLL;
    }
    lane.leave();
    return round;
}

Code Transfers::wait(Request& request, uint32_t generation, int64_t timeout_ns) noexcept {
    const bool nested = thread_role().in_callback != 0;
    // Kept from the look that found it over: another thread may post it again right after.
    Code status = Code::IN_PROGRESS;
    const auto over = [&] {
        const RequestState state = request.load();
        status = state.status;
        return state.phase != Phase::POSTED &&
               (nested || request.callbacks_running.load(std::memory_order_acquire) == 0);
    };
    uint64_t deadline = 0;
    for (uint32_t rounds = 0;; ++rounds) {
        if (request.generation.load(std::memory_order_acquire) != generation)
            return Code::STALE;
        if (over())
            return status;
        if (nested && thread_role().progress)
            return Code::BUSY; // nobody else would finish it
        Lane* lane = request.lane.load(std::memory_order_acquire);
        if (lane == nullptr)
            continue; // being posted right now
        const uint32_t epoch = lane->epoch();
        const Round round = drive_for(request, *lane);
        if (timeout_ns == 0)
            return over() ? status : Code::IN_PROGRESS;
        if (timeout_ns > 0) {
            if (deadline == 0)
                deadline = deadline_after(timeout_ns);
            else if (remaining_ns(deadline) == 0 && !over())
                return Code::IN_PROGRESS;
        }
        if (round == Round::MOVED) {
            rounds = 0;
            continue;
        }
        if (rounds < (request.route->self_driven ? SPIN_ROUNDS : 0))
            continue;
        const Code code = sleep_for(request, *lane, epoch, deadline, round, over);
        if (lane->background() != 0)
            want_progress(); // it leaves lanes alone that have sleepers
        if (code != Code::OK)
            return code;
    }
}

template <typename Over> Code Transfers::sleep_for(Request& request, Lane& lane, uint32_t epoch,
                                                   uint64_t deadline, Round round,
                                                   Over over) noexcept {
    int64_t limit = remaining_ns(deadline);
    const auto at_most = [&limit](int64_t other) {
        if (other >= 0 && (limit < 0 || other < limit))
            limit = other;
    };
    if (request.deadline.load(std::memory_order_relaxed) != 0)
        at_most(remaining_ns(request.deadline.load(std::memory_order_relaxed)));
    if (round != Round::IDLE)
        at_most(SLICE_NS);
    return lane.sleep(epoch, limit, over) == Lane::Sleep::INTERRUPTED && !over() ? Code::INTERRUPTED
                                                                                 : Code::OK;
}

Code Transfers::notify(uint32_t backend, nixl_peer_id peer, std::span<const uint8_t> message) {
    Lane& lane = my_lane(); // after what this thread posted before
    lane.enter();
    lane.progress();
    const Code code = lane.notify_peer(backend, peer, message);
    lane.leave();
    return code;
}

void Transfers::cancel(Request& request) noexcept {
    in_turn(request, [&request](Lane& lane) { lane.cancel(request); });
}

Code Transfers::release(Request& request, uint32_t generation) noexcept {
    constexpr uint64_t FREE = RequestState{Phase::FREE, Code::OK}.pack();
    for (;;) {
        uint64_t before = request.state.load(std::memory_order_acquire);
        const RequestState state = RequestState::unpack(before);
        if (state.phase == Phase::FREE ||
            request.generation.load(std::memory_order_acquire) != generation)
            return Code::STALE;
        if (!state.in_flight()) {
            if (!request.state.compare_exchange_strong(before, FREE))
                continue;
            SlotMap<Request, 64>::retire(request);
            free_slot(request);
            return Code::OK;
        }
        if (request.runs_borrowed)
            return Code::BUSY;
        bool mine = false;
        in_turn(request, [&](Lane& lane) {
            mine = !request.orphaned &&
                   request.generation.load(std::memory_order_relaxed) == generation;
            if (mine)
                lane.orphan(request);
        });
        if (mine)
            return Code::OK;
    }
}

void Transfers::free_slot(Request& request) noexcept {
    request.state.store(RequestState{Phase::FREE, Code::OK}.pack(), std::memory_order_release);
    request.orphaned = false;
    request.lane.store(nullptr, std::memory_order_relaxed);
    request.pipeline.reset();
    request.lists.reset();
    if (!request.many_uses.empty() || !request.owned_runs.empty() || !request.many_pairs.empty() ||
        !request.first_elements.empty() || !request.origins.empty()) {
        request.many_uses = {};
        request.many_pairs = {};
        request.owned_runs = {};
        request.first_elements = {};
        request.origins = {};
    }
    requests_.give(request);
}

} // namespace nixl::core
