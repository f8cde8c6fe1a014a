// SPDX-License-Identifier: Apache-2.0
// HOT
// Queues to the backends and the requests that travel over them. One thread drives a lane at a
// time.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <thread>
#include <vector>

#include "base/descriptor.h"
#include "transfer/request.h"

namespace nixl::core {

class Transfers;

/// A callback to run once the lane has been left.
struct DueCallback {
    nixl_done_fn done;
    void* user;
    nixl_request request;
    nixl_status status;
    Request* slot;
    Lane* lane;
};

/// What the calling thread is doing. Trivial, so that a look at it costs a load.
struct ThreadRole {
    uint32_t in_callback = 0;
    uint32_t lane_hint = 0;                 ///< one-based; 0: none chosen yet
    const Transfers* progress_of = nullptr; ///< whose progress thread this is
};
extern thread_local constinit ThreadRole my_role __attribute__((tls_model("initial-exec")));
[[nodiscard]] inline ThreadRole& thread_role() noexcept { return my_role; }

/// The token that a backend gives to host->wake().
struct LaneQueue {
    Lane* lane = nullptr;
    Backend* backend = nullptr;
    void* queue = nullptr;
    int fd = -1;
    bool fd_lost = false;   ///< it has one, and no descriptor was left to sleep on it with
    uint64_t in_flight = 0; ///< elements
};

/// Threads: enter()/leave() make a thread the driver; everything not marked "any thread" is the
/// driver's.
class Lane {
  public:
    Lane(Transfers& shared, uint32_t number);
    ~Lane();

    // ---- Turns (any thread) -------------------------------------------------------------------
    [[nodiscard]] bool try_enter() noexcept {
        // Sequentially consistent: after a push to the inbox (either the driver sees it when it
        // leaves, or we see the lane free), and before a look at regions that are being freed.
        return driver_.load() == 0 && driver_.exchange(1) == 0;
    }
    /// Waits for its turn. It comes soon: assist() is the longest part of one.
    void enter() noexcept;
    /// Ends the turn and runs the callbacks that fell due in it.
    void leave() noexcept;

    /// Starts the request now, or leaves it in the inbox of the present driver. Any thread.
    /// STALE: one of its regions was freed, and nothing was started.
    Code post(Request& request) noexcept;
    /// Whether a turn is going on.
    [[nodiscard]] bool driven() const noexcept { return driver_.load() != 0; }

    // ---- Driving ------------------------------------------------------------------------------
    /// Takes completions and submits what waits for room. Whether anything moved.
    bool progress() noexcept;
    enum class Help : uint8_t { NOTHING, SOME, INTERRUPTED };
    /// Lets a backend do part of the work on this thread.
    Help assist() noexcept;
    /// Asks every busy backend for a wake. False: poll again first.
    bool arm() noexcept;
    /// Reports what is past its deadline; returns the next deadline, 0 for none.
    uint64_t expire(uint64_t now) noexcept;
    void cancel(Request& request) noexcept;
    /// Nobody may wait for it: the progress thread looks after it until it is over.
    void keep_watched(Request& request) noexcept;
    void cancel_all() noexcept;
    void report_stuck() noexcept;
    void close_queues() noexcept;
    /// Released in flight: reports CANCELLED and lets its last completion free the slot.
    void orphan(Request& request) noexcept;

    /// Nobody holds the request any more: its last completion frees the slot.
    void disown(Request& request) noexcept;

    // For pipelines and the lane's own parts.
    bool
    submit(Flight& flight) noexcept; ///< whether all of it was accepted; the rest is kept pending
    [[nodiscard]] Flight* open_flight(Request& request) noexcept;
    /// Gives an aimed flight its tag and what the post said.
    static void address(Flight& flight) noexcept {
        const PostOptions& options = flight.request->options;
        nixl_batch& batch = flight.batch;
        const uint32_t index =
            flight.pooled ? flight.index : DIRECT_FLIGHT_TAG | flight.request->index;
        batch.tag =
            static_cast<uint64_t>(flight.generation.load(std::memory_order_relaxed)) << 32 | index;
        batch.flags = options.wait ? uint32_t{NIXL_BATCH_WAITED} : 0;
        batch.stream = options.stream;
    }
    void close_flight(Flight& flight) noexcept;
    void finish(Request& request) noexcept; ///< nothing of it is in flight any more
    void settle(Flight& flight) noexcept;   ///< ends the flight when all of it came back
    void fail(Request& request, Code code, int32_t detail, uint64_t element, uint32_t leg) noexcept;

    // ---- Sleeping (any thread) ----------------------------------------------------------------
    /// Something may have changed: wakes whoever sleeps on this lane.
    void notify() noexcept;
    [[nodiscard]] uint32_t epoch() const noexcept { return epoch_.load(); }
    enum class Sleep : uint8_t { WOKEN, TIMED_OUT, INTERRUPTED };
    /// Until notify() since `epoch` was read, a busy descriptor is readable, or the timeout.
    /// `done` is asked once more after this thread is counted as a sleeper.
    template <typename Done> Sleep sleep(uint32_t epoch, int64_t timeout_ns, Done done) noexcept {
        sleepers_.fetch_add(1);
        Sleep result = Sleep::WOKEN;
        if (!done() && epoch_.load() == epoch)
            result = sleep_now(epoch, timeout_ns);
        sleepers_.fetch_sub(1);
        return result;
    }
    [[nodiscard]] bool has_sleepers() const noexcept { return sleepers_.load() != 0; }
    /// A waiter sleeps on it or helps a backend: it drives the lane, and nudges the progress thread
    /// when it goes. Sequentially consistent with Progress.
    [[nodiscard]] bool attended() const noexcept { return has_sleepers() || assisting_.load(); }
    /// Sequentially consistent with Progress: it sees the request, or the nudge sees it asleep.
    [[nodiscard]] uint32_t background() const noexcept { return background_.load(); }
    [[nodiscard]] bool has_inbox() const noexcept { return inbox_.load() != nullptr; }
    /// Whether a request in flight has a deadline. The driver's.
    [[nodiscard]] bool has_deadlines() const noexcept { return timed_ != 0; }
    /// The backend says that poll() of this queue has work, though nothing of ours is in flight.
    void wake(const LaneQueue& queue) noexcept;
    [[nodiscard]] bool woken() const noexcept { return woken_.load() != 0; }
    /// Set while the progress thread sleeps on this lane.
    std::atomic<bool> watched{false};
    /// Appends the descriptors of busy queues. The driver's.
    void collect_fds(std::vector<int>& out) const;
    [[nodiscard]] Request* first_active() const noexcept { return active_; }
    /// Whether something has to be tried again of which nobody will tell us.
    [[nodiscard]] bool must_be_polled() const noexcept;
    /// Queues that still have elements in flight, one bit per backend.
    [[nodiscard]] uint32_t stuck_queues() const noexcept { return busy_queues_; }

    const uint32_t number;

  private:
    bool move_now(Request& request) noexcept;
    void start(Request& request) noexcept;
    void send_note(Request& request) noexcept;
    bool submit_note(Flight& flight) noexcept; ///< as submit()
    static void note_over(const Request& request, Code status) noexcept;
    [[nodiscard]] bool has_earlier(const Request& request) const noexcept;
    void count_deadline(Request& request, bool counted) noexcept;
    void begin_flights(Request& request) noexcept;
    bool drain_inbox() noexcept;
    Result<void> open_queue(LaneQueue& queue, uint32_t backend) noexcept;
    void keep_pending(Flight& flight) noexcept;
    void mark_busy(LaneQueue& queue) noexcept;
    void measure(Request& request, Code status) noexcept;
    size_t take_due(std::array<DueCallback, 8>& out) noexcept;
    static void deliver(const DueCallback& due) noexcept;
    static void run_callback(const DueCallback& due) noexcept;
    bool poll_queue(LaneQueue& queue) noexcept;
    bool retry_pending() noexcept;
    void complete(LaneQueue& queue, const nixl_completion& completion) noexcept;
    void retry_short(Flight& flight, uint64_t element, const nixl_completion& completion) noexcept;
    void finish_flight(Flight& flight) noexcept;
    void report(Request& request, Code status, Phase phase) noexcept;
    void contract_broken(const LaneQueue& queue, const char* what) noexcept;
    [[nodiscard]] Flight* flight_of(uint64_t tag) noexcept;
    void link_active(Request& request) noexcept;
    void unlink_active(Request& request) noexcept;
    Sleep sleep_now(uint32_t epoch, int64_t timeout_ns) noexcept;

    Transfers& shared_;
    std::array<LaneQueue, MAX_BACKENDS> queues_{};
    uint32_t busy_queues_ = 0; ///< bit per queue with elements in flight
    uint32_t movers_ = 0;      ///< bit per open queue whose backend has move_now()
    uint32_t late_ = 0;        ///< bit per open queue whose backend has NIXL_CAP_LATE
    Request* active_ = nullptr;
    Request* starting_ = nullptr; ///< by start(), until it is over
    uint32_t timed_ = 0;          ///< requests with a deadline
    uint64_t sequence_ = 0;
    Flight* pending_ = nullptr; ///< first in, first out
    uint32_t refusing_ = 0;     ///< bit per backend that has refused one of them since
    Flight** pending_end_ = &pending_;
    std::vector<DueCallback> due_;
    bool changed_ = false; ///< something finished in this turn
    bool armed_ = false;   ///< the backends wake who sleeps: nothing was asked of them since

    alignas(64) std::atomic<uint32_t> driver_{0};
    std::atomic<Request*> inbox_{nullptr};
    std::atomic<uint32_t> background_{0};
    std::atomic<uint32_t> woken_{0}; ///< bit per queue to poll once
    alignas(64) std::atomic<uint32_t> epoch_{0};
    std::atomic<uint32_t> sleepers_{0};
    std::atomic<bool> assisting_{false};
    std::atomic<bool> fd_sleeper_{false}; ///< one sleeper polls descriptors, the others the epoch
    std::atomic<uint32_t> fd_queues_{0};  ///< bit per busy queue that has a descriptor
    std::optional<EventFd> wake_;         ///< made before the first descriptor is polled
};

} // namespace nixl::core
