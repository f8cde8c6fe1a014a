// SPDX-License-Identifier: Apache-2.0
// HOT
// One transfer that can be posted again and again, and the pieces of it that are under way.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "memory/region.h"
#include "transfer/route.h"
#include "transfer/runs.h"

namespace nixl::core {

class CompletionQueue;
class Lane;
class Pipeline;
struct Request;

/// What can be submitted to one backend under one tag: a request's whole list, a chunk of a
/// composed route, or the rest of an element that came back short.
///
/// Threads: the driver of the request's lane. The slot's generation is part of the tag.
struct Flight : Slot {
    Request* request = nullptr;
    const RunView* view = nullptr; ///< the request's, or own_view
    /// As it goes to submit(): first_element and its position are the first element that is not
    /// accepted yet. What does not change between posts is set by aim(), once.
    nixl_batch batch{};
    uint64_t completed = 0; ///< of the accepted elements
    uint32_t backend = 0;
    uint64_t base_element = 0; ///< number of element 0 within the request
    uint32_t leg = 0;
    uint32_t chunk = NO_CHUNK; ///< of the pipeline
    bool pooled = false;       ///< from the flight table, not part of the request
    bool pending = false;      ///< in the lane's list of those that wait for room
    nixl_run own_run{};        ///< of rests
    RunView own_view;          ///< of chunks and rests
    bool note = false;         ///< carries the request's notification
    Flight* next = nullptr;    ///< in the lane's pending list
    Flight* sibling = nullptr; ///< the request's other pooled flights
    Flight** sibling_of = nullptr;

    static constexpr uint32_t NO_CHUNK = UINT32_MAX;

    [[nodiscard]] bool last_leg() const noexcept;
    [[nodiscard]] uint64_t accepted() const noexcept { return batch.first_element; }

    void aim(const RunView& at, const nixl_region_pair* pairs, uint32_t pair_count) noexcept {
        view = &at;
        batch = {};
        batch.struct_size = sizeof batch;
        batch.opcode = NIXL_OPCODE_COPY;
        note = false;
        batch.pairs = pairs;
        batch.pair_count = pair_count;
        batch.runs = at.runs;
        batch.run_count = at.run_count;
        completed = 0;
    }
    /// Back to the first element, for the next post.
    void rewind() noexcept {
        batch.first_element = batch.first_run = batch.first_in_run = 0;
        completed = 0;
    }
};

/// Set in the index half of a tag that names a request's own flight, not a pooled one.
inline constexpr uint32_t DIRECT_FLIGHT_TAG = 0x8000'0000;

/// A region that each post counts itself as a user of; its generation tells whether it was freed
/// since.
struct RegionUse {
    Region* region = nullptr;
    uint32_t generation = 0;
};

/// How a transfer over several legs is cut, and how many pieces are in flight; 0: as the settings
/// say.
struct Pieces {
    uint64_t chunk_bytes = 0;
    uint32_t stages = 0;
};

/// Who owns the request now. One word with the visible status, so that both change at once.
enum class Phase : uint8_t {
    FREE,
    IDLE,    ///< made, or terminal: may be posted or released
    POSTED,  ///< in flight, reported as IN_PROGRESS
    DRAINING ///< reported as TIMED_OUT, operations are still out
};

struct RequestState {
    Phase phase;
    Code status;
    uint32_t generation = 0; ///< of the slot, so that nobody moves a request that took its place

    [[nodiscard]] constexpr uint64_t pack() const noexcept {
        return static_cast<uint64_t>(generation) << 32 | static_cast<uint64_t>(phase) << 8 |
               static_cast<uint8_t>(status);
    }
    static RequestState unpack(uint64_t word) noexcept {
        return {static_cast<Phase>(word >> 8 & 0xff),
                static_cast<Code>(static_cast<int8_t>(word & 0xff)),
                static_cast<uint32_t>(word >> 32)};
    }
    [[nodiscard]] bool in_flight() const noexcept {
        return phase == Phase::POSTED || phase == Phase::DRAINING;
    }
};

struct PostOptions {
    nixl_done_fn done = nullptr;
    void* user = nullptr;
    CompletionQueue* queue = nullptr;
    uint32_t queue_generation = 0;
    void* stream = nullptr;
    const void* notification = nullptr;
    uint64_t notification_bytes = 0;
    int64_t deadline_ns = 0;
    uint32_t path_policy = NIXL_PATH_DEFAULT;
    bool wait = false;
};

/// The notification of one post: sent when its data has arrived.
struct Note {
    std::vector<uint8_t> message;
    nixl_peer_id peer = 0; ///< 0: there is none
    uint32_t backend = 0;
    bool sent = false;
    bool alone = false; ///< of a request without data, which waits for the thread's earlier ones
};

/// Two lists and their indices, for requests that are posted by index; made by transfer/lists.
struct IndexedLists;

/// Threads: `state` any thread; what is prepared is immutable between posts; progress belongs to
/// the driver of the lane.
struct Request : Slot {
    std::atomic<uint64_t> state{RequestState{Phase::FREE, Code::OK}.pack()};
    std::atomic<Lane*> lane{nullptr}; ///< of the present post, while it is in flight
    std::atomic<Lane*> home{nullptr}; ///< of the last post; tells waiters when a callback is over
    std::atomic<uint32_t> callbacks_running{0};

    // Prepared.
    const Route* route = nullptr;
    Pieces pieces;
    uint32_t pair_count = 0;
    bool runs_borrowed = false;
    bool holds_regions = false; ///< while it is made, as nobody may take them apart meanwhile
    std::array<RegionUse, 2> inline_uses{};
    std::array<nixl_region_pair, 1> inline_pairs{};
    std::array<nixl_run, 2> inline_runs{};
    std::array<uint64_t, 2> inline_firsts{};
    bool whole = false;               ///< one element of the user, cut into pieces
    std::vector<RegionUse> many_uses; ///< empty: the two inline ones
    std::vector<nixl_region_pair> many_pairs;
    bool of_runs = false; ///< given as runs, not as one range or as lists
    std::vector<nixl_run> owned_runs;
    std::vector<nixl_run> given_runs; ///< what was given, when long elements were split
    std::vector<uint64_t> first_elements;
    std::vector<uint64_t> origins; ///< when long elements were split: run -> user's element
    uint64_t piece_bytes = 0;      ///< ... into pieces of so many bytes
    RunView view;
    std::unique_ptr<Pipeline> pipeline;
    std::unique_ptr<IndexedLists> lists;
    /// What moves it, of several engines of a backend; nullptr: see nixl_caps::detail. Of the last
    /// post, so that reports read what cannot go away.
    std::atomic<const char*> engine{nullptr};

    // Of one post.
    PostOptions options;
    Note note;
    uint64_t sequence = 0;             ///< of its lane: order of the starts
    std::atomic<uint64_t> deadline{0}; ///< absolute; 0: none. Waiters look at it, too
    uint64_t posted_ns = 0;
    uint64_t completed_ns = 0;
    uint64_t bytes_done = 0;
    uint64_t elements_done = 0;
    uint64_t staged_bytes = 0;
    uint64_t first_bad = UINT64_MAX;
    Code error = Code::OK;
    int32_t detail = 0;
    uint32_t bad_leg = 0;
    uint32_t open_flights = 0;
    bool started = false;    ///< by the driver; until then nobody else ends it
    bool timed = false;      ///< counted by its lane as one with a deadline
    bool stopped = false;    ///< submits nothing more
    bool cancelled = false;  ///< because it was asked to
    bool orphaned = false;   ///< released in flight: the slot is freed by the last completion
    bool background = false; ///< the progress thread looks after it
    bool measured = false;   ///< counted by the telemetry
    bool counted = false;    ///< as a user of its regions
    Flight direct;
    Flight* flights = nullptr; ///< pooled ones, linked by `sibling`

    Request* active_next = nullptr; ///< in the lane's list of requests in flight
    Request** active_of = nullptr;
    Request* inbox_next = nullptr;

    [[nodiscard]] std::span<const RegionUse> uses() const noexcept {
        return many_uses.empty() ? std::span<const RegionUse>(inline_uses)
                                 : std::span<const RegionUse>(many_uses);
    }
    [[nodiscard]] const nixl_region_pair* pairs() const noexcept {
        return pair_count == 1 ? inline_pairs.data() : many_pairs.data();
    }
    [[nodiscard]] RequestState load() const noexcept {
        return RequestState::unpack(state.load(std::memory_order_acquire));
    }
    /// By its owner: who made it, or the driver.
    void set(Phase phase, Code status) noexcept {
        const uint32_t mine = generation.load(std::memory_order_relaxed);
        state.store(RequestState{phase, status, mine}.pack(), std::memory_order_release);
    }
    /// As if it had never been posted.
    void forget_post() noexcept {
        posted_ns = completed_ns = 0;
        bytes_done = elements_done = staged_bytes = 0;
        first_bad = UINT64_MAX;
        error = Code::OK;
        detail = 0;
        started = stopped = cancelled = background = false;
    }
};

inline bool Flight::last_leg() const noexcept { return leg + 1 == request->route->leg_count; }

} // namespace nixl::core
