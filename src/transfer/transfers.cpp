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

// Sleeping and waking cost some 5 us each, on virtual machines twice as much; shorter waits spin.
constexpr uint32_t SPIN_ROUNDS = 500;
// For backends that can neither wake us nor be polled on a descriptor, and for lanes whose driver
// is busy with work of its own.
constexpr int64_t SLICE_NS = 50'000;

constexpr uint32_t MAX_HINT = 1u << 30;
std::atomic<uint32_t> next_hint{0};

} // namespace

thread_local constinit ThreadRole my_role;

Lane& Transfers::my_lane() noexcept {
    // A hint that outlives nothing: any lane serves, the same one is merely free more often.
    uint32_t& hint = thread_role().lane_hint;
    if (hint == 0)
        hint = next_hint.fetch_add(1, std::memory_order_relaxed) % MAX_HINT + 1;
    return *lanes_[hint % lanes_.size()];
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

Code Transfers::begin_post(Request& request, uint32_t generation, uint64_t* before) noexcept {
    *before = request.state.load(std::memory_order_relaxed);
    const uint64_t posted = RequestState{Phase::POSTED, Code::IN_PROGRESS, generation}.pack();
    do {
        const RequestState state = RequestState::unpack(*before);
        if (state.generation != generation || state.phase == Phase::FREE)
            return Code::STALE;
        if (state.phase != Phase::IDLE)
            return Code::BUSY;
    } while (!request.state.compare_exchange_weak(*before, posted, std::memory_order_acquire));
    return Code::OK;
}

Code Transfers::undo_post(Request& request, uint64_t before, Code why) noexcept {
    request.state.store(before, std::memory_order_release);
    return why;
}

Code Transfers::post(Request& request, uint32_t generation, const PostOptions& options) noexcept {
    uint64_t before = 0;
    if (const Code code = begin_post(request, generation, &before); code != Code::OK)
        return code;
    if (request.lists != nullptr) {
        if (request.lists->all.elements == 0)
            return undo_post(request, before, Code::INVALID_ARGUMENT);
        request.view = request.lists->all;
        aim_at_data(request);
        aim_at_lists(request, nullptr, nullptr);
        note_engine_of_lists(request);
    }
    return launch(request, options, before);
}

/// Whether a post has nothing to admit(). One branch for all, as it is so nearly always.
bool Transfers::is_plain(const Request& request, const PostOptions& options) noexcept {
    const auto is_set = [](const auto* pointer) { return reinterpret_cast<uintptr_t>(pointer); };
    return (is_set(reinterpret_cast<const void*>(options.done)) | is_set(options.queue) |
            is_set(options.stream) | is_set(request.pipeline.get()) | options.notification_bytes |
            request.note.peer | options.path_policy) == 0;
}

/// What only some posts need: checks, the notification's copy, room for the event, staging memory.
Code Transfers::admit(Request& request, const PostOptions& options) noexcept {
    if ((options.path_policy == NIXL_PATH_REQUIRE_DIRECT && !request.route->direct()) ||
        (options.stream != nullptr && !request.route->joins_streams))
        return Code::UNSUPPORTED;
    if (options.path_policy == NIXL_PATH_WARN)
        (void)check_policy(*request.route, PathPolicy::WARN);
    if (options.done != nullptr && !options.wait && !progress_->ensure())
        return Code::AGAIN;
    if (!request.note.alone)
        request.note.peer = 0;
    request.note.sent = false;
    if (options.notification_bytes != 0)
        if (const Code code = take_note(request, options); code != Code::OK)
            return code;
    if (options.queue != nullptr)
        if (const Code code = options.queue->reserve(options.queue_generation); code != Code::OK)
            return code;
    if (request.pipeline == nullptr)
        return Code::OK;
    const Code reserved = request.pipeline->reserve(*this, request);
    if (reserved != Code::OK && options.queue != nullptr)
        options.queue->unreserve();
    return reserved;
}

Code Transfers::launch(Request& request, const PostOptions& options, uint64_t before) noexcept {
    if (!is_plain(request, options))
        if (const Code code = admit(request, options); code != Code::OK)
            return undo_post(request, before, code);
    request.options = options;
    request.deadline.store(0, std::memory_order_relaxed);
    request.forget_post();
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
    if (flight.note)
        aim_at_data(request);
    flight.rewind();
    Lane::address(flight);
    Lane& lane = my_lane();
    request.home.store(&lane, std::memory_order_relaxed);
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

Code Transfers::poll(Request& request, uint32_t generation) noexcept {
    RequestState state = request.load();
    if (state.phase == Phase::POSTED && state.generation == generation) {
        Lane* lane = request.lane.load(std::memory_order_acquire);
        if (lane != nullptr && lane->try_enter()) {
            lane->progress();
            if (lane->has_deadlines())
                lane->expire(now_ns());
            lane->leave();
            state = request.load();
        }
    }
    return state.generation == generation ? state.status : Code::STALE;
}

/// The lane that a waiter drives, and the progress thread therefore leaves alone.
class Transfers::Attendance {
  public:
    explicit Attendance(Transfers& shared) noexcept : shared_(shared) {}
    ~Attendance() { leave(); }
    Attendance(const Attendance&) = delete;
    Attendance& operator=(const Attendance&) = delete;

    void of(const Lane& lane) noexcept {
        if (lane_ != &lane)
            leave();
        lane_ = &lane;
    }

  private:
    void leave() noexcept {
        if (lane_ != nullptr)
            shared_.waiter_left();
    }
    Transfers& shared_;
    const Lane* lane_ = nullptr;
};

/// In the lane's turn. MOVED: there is something to do after all.
Transfers::Round::Outcome Transfers::before_sleep(const Request& request, Lane& lane) noexcept {
    using Outcome = Round::Outcome;
    if (!lane.arm())
        return Outcome::MOVED;
    if (lane.must_be_polled())
        return Outcome::MUST_POLL;
    // Posted, but still on its way to the lane: nobody will tell.
    const bool is_elsewhere = request.load().phase == Phase::POSTED &&
                              request.lane.load(std::memory_order_relaxed) != &lane;
    return is_elsewhere ? Outcome::LANE_TAKEN : Outcome::IDLE;
}

Transfers::Round Transfers::drive_for(Request& request, Lane& lane, bool spins) noexcept {
    using Outcome = Round::Outcome;
    Round round;
    if (!lane.try_enter())
        return round;
    round.outcome = lane.progress() ? Outcome::MOVED : Outcome::IDLE;
    if (lane.has_deadlines())
        round.next_deadline = lane.expire(now_ns());
    const bool in_flight = request.load().phase == Phase::POSTED;
    if (round.outcome == Outcome::IDLE) {
        const Lane::Help help = in_flight ? lane.assist() : Lane::Help::NOTHING;
        if (help == Lane::Help::INTERRUPTED)
            round.outcome = Outcome::INTERRUPTED;
        else if (help == Lane::Help::SOME)
            round.outcome = Outcome::MOVED;
        else if (!spins) // else armed workers would wake who looks all the time
            round.outcome = before_sleep(request, lane);
    }
    lane.leave();
    return round;
}

Code Transfers::wait(Request& request, uint32_t generation, int64_t timeout_ns) noexcept {
    using Outcome = Round::Outcome;
    const bool nested = thread_role().in_callback != 0;
    // Kept from the look that found it over: another thread may post it again right after.
    RequestState state{};
    const auto over = [&] {
        state = request.load();
        return state.generation != generation ||
               (state.phase != Phase::POSTED &&
                (nested || request.callbacks_running.load(std::memory_order_acquire) == 0));
    };
    const auto answer = [&] { return state.generation == generation ? state.status : Code::STALE; };
    uint64_t deadline = 0;
    Attendance attendance(*this);
    for (uint32_t rounds = 0;; ++rounds) {
        if (over())
            return answer();
        if (nested && thread_role().progress_of != nullptr)
            return Code::BUSY; // nobody else would finish it
        if (waits_refused_.load(std::memory_order_relaxed))
            return Code::STALE;
        Lane* lane = request.lane.load(std::memory_order_acquire);
        if (lane == nullptr) // being posted right now, or over while its callback runs
            lane = request.home.load(std::memory_order_acquire);
        const uint32_t epoch = lane != nullptr ? lane->epoch() : 0;
        if (lane != nullptr)
            attendance.of(*lane);
        const bool spins = rounds < (request.route->self_driven ? SPIN_ROUNDS : 0);
        const Round round = lane != nullptr ? drive_for(request, *lane, spins) : Round{};
        if (timeout_ns == 0)
            return over() ? answer() : Code::IN_PROGRESS;
        if (timeout_ns > 0) {
            if (deadline == 0)
                deadline = deadline_after(timeout_ns);
            else if (remaining_ns(deadline) == 0 && !over())
                return Code::IN_PROGRESS;
        }
        if (round.outcome == Outcome::INTERRUPTED)
            return over() ? answer() : Code::INTERRUPTED;
        if (round.outcome == Outcome::MOVED) {
            rounds = 0;
            continue;
        }
        if (lane == nullptr) {
            std::this_thread::yield();
            continue;
        }
        if (spins)
            continue;
        if (const Code code = sleep_for(*lane, epoch, deadline, round, over); code != Code::OK)
            return code;
    }
}

template <typename Over> Code Transfers::sleep_for(Lane& lane, uint32_t epoch, uint64_t deadline,
                                                   const Round& round, Over over) noexcept {
    int64_t limit = remaining_ns(deadline);
    const auto at_most = [&limit](int64_t other) {
        if (other >= 0 && (limit < 0 || other < limit))
            limit = other;
    };
    if (round.next_deadline != 0)
        at_most(remaining_ns(round.next_deadline));
    if (round.outcome != Round::Outcome::IDLE)
        at_most(SLICE_NS);
    return lane.sleep(epoch, limit, over) == Lane::Sleep::INTERRUPTED && !over() ? Code::INTERRUPTED
                                                                                 : Code::OK;
}

void Transfers::refuse_waits(bool refused) noexcept {
    waits_refused_.store(refused);
    for (const auto& lane : lanes_)
        lane->notify();
}

Code Transfers::cancel(Request& request, uint32_t generation) noexcept {
    const bool done =
        in_turn(request, generation, [&request](Lane& lane) { lane.cancel(request); });
    return done || request.load().generation == generation ? Code::OK : Code::STALE;
}

void Transfers::watch(Request& request, uint32_t generation) noexcept {
    in_turn(request, generation, [&request](Lane& lane) { lane.keep_watched(request); });
    want_progress();
}

Code Transfers::release(Request& request, uint32_t generation) noexcept {
    for (;;) {
        uint64_t before = request.state.load(std::memory_order_acquire);
        const RequestState state = RequestState::unpack(before);
        if (state.phase == Phase::FREE || state.generation != generation)
            return Code::STALE;
        if (!state.in_flight()) {
            const uint64_t free = RequestState{Phase::FREE, Code::OK, generation}.pack();
            if (!request.state.compare_exchange_strong(before, free))
                continue;
            SlotMap<Request, 64>::retire(request);
            free_slot(request);
            return Code::OK;
        }
        if (request.runs_borrowed)
            return Code::BUSY;
        bool mine = false;
        in_turn(request, generation, [&](Lane& lane) {
            mine = !request.orphaned;
            if (mine)
                lane.orphan(request);
        });
        if (mine)
            return Code::OK;
        if (request.generation.load() != generation)
            return Code::STALE; // somebody else released it
    }
}

void Transfers::free_slot(Request& request) noexcept {
    request.set(Phase::FREE, Code::OK);
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
        request.given_runs = {};
    }
    if (!request.note.message.empty())
        request.note = {};
    requests_.give(request);
}

} // namespace nixl::core
