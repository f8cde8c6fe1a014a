// SPDX-License-Identifier: Apache-2.0
// All transfers of a context: making requests, posting them, waiting for them. Owns the lanes.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "memory/region_table.h"
#include "memory/staging.h"
#include "telemetry/telemetry.h"
#include "transfer/completion_queue.h"
#include "transfer/lane.h"
#include "transfer/lists.h"
#include "transfer/request.h"

namespace nixl::core {

class Progress;

enum class PathPolicy : uint8_t { ALLOW, WARN, REQUIRE_DIRECT };

struct TransferLimits {
    uint32_t lanes = 1;
    uint32_t requests = 4096;
    uint64_t chunk_bytes = 0; ///< 0: by the size of the transfer, see chunk_for()
    uint32_t chunks = 8;
    PathPolicy policy = PathPolicy::WARN;
    bool zero_copy = false; ///< refuses every path through staging memory
};

/// Threads: any thread.
class Transfers {
  public:
    Transfers(const BackendRegistry& registry, RegionTable& regions, Router& router,
              StagingPool& staging, Telemetry& telemetry, const TransferLimits& limits);
    ~Transfers();

    // ---- Preparing (control path) -------------------------------------------------------------
    struct RangeSpec {
        nixl_buffer source, target;
        uint64_t source_offset, target_offset, bytes;
        Pieces pieces = {};
    };
    Result<Request*> create_range(const RangeSpec& spec);
    struct RunsSpec {
        std::span<const nixl_buffer> sources, targets;
        std::span<const nixl_run> runs;
        std::vector<nixl_run> owned;      ///< when not empty, `runs` is a view on it
        const Singles* singles = nullptr; ///< see check_runs()
        bool borrowed = false;
    };
    Result<Request*> create_runs(RunsSpec spec);
    Result<Request*> create_lists(nixl_list source, nixl_list target);
    /// Of one side of a request over runs, whose handle is live.
    Result<nixl_list> list_of(const Request& request, bool is_source);

    // ---- Using --------------------------------------------------------------------------------
    [[nodiscard]] Request* find(nixl_request handle) noexcept {
        return requests_.find(handle.index, handle.generation);
    }
    static nixl_request handle_of(const Request& request) noexcept {
        return {request.index, request.generation.load(std::memory_order_relaxed)};
    }

    // `generation` is the handle's. STALE when the slot was released since, whoever has it now.

    /// OK when it was posted.
    Code post(Request& request, uint32_t generation, const PostOptions& options) noexcept;
    /// `bad` gets the position of the first index that does not fit, when the answer is
    /// OUT_OF_RANGE (no such block) or INVALID_ARGUMENT (blocks of different lengths). NOT_FOUND
    /// when the request has no lists.
    Code post_indexed(Request& request, uint32_t generation, std::span<const uint32_t> source,
                      std::span<const uint32_t> target, const PostOptions& options,
                      uint64_t* bad) noexcept;
    [[nodiscard]] Code poll(Request& request, uint32_t generation) noexcept;
    /// IN_PROGRESS at the timeout; INTERRUPTED; STALE when it was released meanwhile.
    Code wait(Request& request, uint32_t generation, int64_t timeout_ns) noexcept;
    static constexpr uint64_t MAX_NOTE_BYTES = 64u << 10;
    /// Sends a message after everything that this thread posted to the peer before.
    Result<void> send_note(Backend& backend, nixl_peer_id peer, std::span<const uint8_t> message);
    Code cancel(Request& request, uint32_t generation) noexcept;
    /// Its poster does not wait for it any more, though it said so.
    void watch(Request& request, uint32_t generation) noexcept;
    Code release(Request& request, uint32_t generation) noexcept;

    /// Drives every lane once. Whether anything moved.
    bool drive() noexcept;
    /// Drives and sleeps until `done` or the deadline. Whether it is done.
    bool drive_until(bool (*done)(void*), void* argument, uint64_t deadline) noexcept;

    /// Runs `look` while nobody writes what the request has reached: as it is when it is not in
    /// flight, else in a turn of its lane.
    template <typename Look> void look_at(Request& request, uint32_t generation, Look look) {
        if (!in_turn(request, generation, [&look](Lane&) { look(); }))
            look();
    }
    [[nodiscard]] Error error_of(const Request& request) const; ///< inside look_at()
    /// What the backend of a direct route calls the engine that would move one range from each
    /// buffer's start, which need not be registered; nullptr: it has only one.
    [[nodiscard]] static const char* engine_of(const Route& route, const Region& source,
                                               const Region& target, uint64_t bytes) noexcept;
    [[nodiscard]] uint64_t user_element(const Request& request) const noexcept;
    [[nodiscard]] uint32_t in_flight() noexcept; ///< requests posted or draining
    [[nodiscard]] std::string abandoned_json();
    /// Cancels everything, for closing.
    void cancel_all() noexcept;
    /// Reports what did not come back as CANCELLED, so that waiters return.
    void report_stuck() noexcept;
    /// While set, waits return at once, and so does drive_until(): the context is closing.
    void refuse_waits(bool refused) noexcept;
    /// Gives up the memory of what did not come back; true when there was something. The lanes are
    /// not left again.
    bool quarantine();
    void close_queues() noexcept; ///< of the backends, where nothing is in flight

    CompletionQueue* find_queue(nixl_queue handle) noexcept {
        return queues_.find(handle.index, handle.generation);
    }
    SlotMap<CompletionQueue, 16>& queues() noexcept { return queues_; }
    ListTable& lists() noexcept { return lists_; }
    Result<void> arm(CompletionQueue& queue);

    /// Chunks and policy; the other limits are fixed.
    void set_limits(const TransferLimits& limits) noexcept;
    /// Bytes of one piece of a transfer that is split, and how many of them are in flight.
    [[nodiscard]] uint64_t chunk_for(uint64_t bytes, const Pieces& pieces = {}) const;
    [[nodiscard]] uint32_t stages_for(const Pieces& pieces) const noexcept {
        return pieces.stages != 0 ? pieces.stages : chunks_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] TransferLimits limits() const noexcept;
    /// Why the last post on this thread got no staging memory; a look at it forgets it.
    static std::unique_ptr<Error> take_staging_refusal() noexcept;

    // ---- For lanes and pipelines --------------------------------------------------------------
    SlotMap<Request, 64>& requests() noexcept { return requests_; }
    SlotMap<Flight>& flights() noexcept { return flights_; }
    StagingPool& staging() noexcept { return staging_; }
    Telemetry& telemetry() noexcept { return telemetry_; }
    RegionTable& regions() noexcept { return regions_; }
    const BackendRegistry& registry() const noexcept { return registry_; }
    std::vector<std::unique_ptr<Lane>>& lanes() noexcept { return lanes_; }
    /// Makes sure that the progress thread looks at the lanes.
    void want_progress() noexcept;
    /// Tells it that somebody who drove lanes drives them no more, though there may be more to do.
    void waiter_left() noexcept;
    void stop_progress() noexcept;
    /// Whether its thread runs: callbacks need it.
    [[nodiscard]] bool has_progress() const noexcept;
    [[nodiscard]] uint32_t armed_queues() noexcept;
    void free_slot(Request& request) noexcept;
    // A request that ends within the turn that started it is never counted as a user of its
    // regions: a turn ends before a region is freed under it; see settle_turns().
    [[nodiscard]] static bool add_users(Request& request) noexcept; ///< false: one was freed
    [[nodiscard]] static bool regions_usable(const Request& request) noexcept {
        for (const RegionUse& use : request.uses())
            if (!use.region->usable(use.generation))
                return false;
        return true;
    }
    static void keep_users(Request& request) noexcept;
    static void remove_users(Request& request) noexcept;
    /// Returns when every turn that was going on is over.
    void settle_turns() noexcept;

  private:
    Lane& my_lane() noexcept;
    Result<Request*> take_slot();
    Result<void> hold_regions(Request& request, std::span<const nixl_buffer> sources,
                              std::span<const nixl_buffer> targets);
    Result<void> bind(Request& request, std::span<const nixl_buffer> sources,
                      std::span<const nixl_buffer> targets, uint64_t bytes);
    Result<Region*> live_region(nixl_buffer buffer, const char* side);
    /// `locked`: as page-locked memory, see zero_copy.
    Result<nixl_region> register_end(Region& region, Backend& backend, bool locked = false);
    Result<void> check_route(const Route& route) const;
    static Result<void> check_policy(const Route& route, PathPolicy policy);
    Result<void> bind_lists(Request& request, const List& source, const List& target);
    static void note_engine(Request& request) noexcept;
    static void note_engine_of_lists(Request& request) noexcept;
    static Result<void> prepare_in_backend(Request& request);
    void set_all_view(Request& request) noexcept;
    static void aim_at_lists(Request& request, const uint32_t* source_indices,
                             const uint32_t* target_indices) noexcept;
    Code expand_indices(Request& request, std::span<const uint32_t> source,
                        std::span<const uint32_t> target, uint64_t* bad) noexcept;
    Result<void> set_runs(Request& request, RunsSpec&& spec);
    class SlotGuard;
    Result<Request*> publish(Request& request);
    /// What elements of a transfer of so many bytes are cut to; 0: they are not.
    /// For zero_copy: a direct route instead of the request's where page-locking pageable ends
    /// gives one, and which ends those are.
    Result<void> avoid_staging(Request& request, uint64_t bytes, std::array<bool, 2>* locks);
    /// Where the first element that failed lies, for people.
    [[nodiscard]] std::string place_text(const Request& request) const;
    [[nodiscard]] uint64_t element_limit(const Request& request, uint64_t bytes) const;
    void set_one_range(Request& request, const RangeSpec& spec);

    /// Runs `work` in a turn of the lane that the request is in flight on. False: it is not.
    template <typename Work> bool in_turn(Request& request, uint32_t generation, Work work) {
        for (;;) {
            Lane* lane = request.lane.load(std::memory_order_acquire);
            const RequestState state = request.load();
            if (!state.in_flight() || state.generation != generation)
                return false;
            if (lane == nullptr) { // being posted right now
                std::this_thread::yield();
                continue;
            }
            lane->enter();
            lane->progress(); // takes it out of the inbox
            const RequestState now = request.load();
            // acquire: pairs with launch(), which forgets the last post before it.
            const bool mine = request.lane.load(std::memory_order_acquire) == lane &&
                              request.started && now.in_flight() && now.generation == generation;
            if (mine)
                work(*lane);
            lane->leave();
            if (mine)
                return true;
        }
    }
    Code begin_post(Request& request, uint32_t generation, uint64_t* before) noexcept;
    static Code undo_post(Request& request, uint64_t before, Code why) noexcept;
    static bool is_plain(const Request& request, const PostOptions& options) noexcept;
    class Attendance;
    bool drive_until_done(bool (*done)(void*), void* argument, uint64_t deadline) noexcept;
    Code admit(Request& request, const PostOptions& options) noexcept;
    Code launch(Request& request, const PostOptions& options, uint64_t before) noexcept;
    static void aim_at_data(Request& request) noexcept {
        request.direct.aim(request.view, request.pairs(), request.pair_count);
        request.direct.backend = request.route->legs[0].backend->number;
    }
    Code undo_launch(Request& request, uint64_t before) noexcept;
    /// OUT_OF_RANGE too long; UNSUPPORTED no end is a peer's, or its transport cannot.
    static Code take_note(Request& request, const PostOptions& options) noexcept;
    const Route& note_route(Backend& backend) EXCLUDES(note_routes_mutex_);

    /// One round of a wait, as the driver if the lane is free.
    struct Round {
        enum class Outcome : uint8_t { MOVED, IDLE, MUST_POLL, LANE_TAKEN, INTERRUPTED };
        Outcome outcome = Outcome::LANE_TAKEN;
        uint64_t next_deadline = 0; ///< of any request of the lane; 0: none
    };
    static Round drive_for(Request& request, Lane& lane, bool spins) noexcept;
    static Round::Outcome before_sleep(const Request& request, Lane& lane) noexcept;
    template <typename Over> static Code sleep_for(Lane& lane, uint32_t epoch, uint64_t deadline,
                                                   const Round& round, Over over) noexcept;

    const BackendRegistry& registry_;
    RegionTable& regions_;
    Router& router_;
    StagingPool& staging_;
    Telemetry& telemetry_;
    const TransferLimits fixed_limits_;
    std::atomic<uint64_t> chunk_bytes_; // these four may change at any time
    std::atomic<uint32_t> chunks_;
    std::atomic<PathPolicy> policy_;
    std::atomic<bool> zero_copy_;
    ListTable lists_; // before the requests, which count themselves as its users
    SlotMap<Request, 64> requests_;
    SlotMap<Flight> flights_;
    SlotMap<CompletionQueue, 16> queues_;
    std::vector<std::unique_ptr<Lane>> lanes_;
    std::atomic<bool> waits_refused_{false};
    Region nowhere_; ///< both ends of notes that go alone
    Mutex note_routes_mutex_;
    std::array<std::unique_ptr<Route>, MAX_BACKENDS> note_routes_ GUARDED_BY(note_routes_mutex_);
    std::unique_ptr<Progress> progress_;
};

} // namespace nixl::core
