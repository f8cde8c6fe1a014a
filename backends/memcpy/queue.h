// SPDX-License-Identifier: Apache-2.0
// One queue of the memcpy backend: small batches are copied inside submit(), large ones become
// spans that the shared workers, and the waiting thread through assist(), take slices of.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>

#include <nixl/backend.h>
#include <nixl/sdk/completion_ring.hpp>
#include <nixl/sdk/host.hpp>

#include "backends/memcpy/copy.h"
#include "backends/memcpy/handoff.h"
#include "backends/memcpy/span.h"

namespace nixl::core {

/// What the settings say; see memcpy.cpp for names and reasons.
struct CopyPolicy {
    uint64_t inline_bytes;        ///< a batch up to this is copied inside submit() ...
    uint64_t waited_inline_bytes; ///< ... or up to this, when the poster waits and workers are cold
    uint64_t burst_bytes;         ///< what it waits for is shared from here on while they are warm
    uint64_t slice_bytes;         ///< the least that a thread takes ...
    uint64_t share_bytes;         ///< ... and the most, of what is left for each
    uint64_t worker_bytes;        ///< one worker for each so many bytes
    uint64_t stream_bytes;        ///< batches from this on go past the cache
    StreamFunction stream;        ///< nullptr: never
    uint32_t workers;             ///< of the shared pool; 0: everything is copied inside submit()
    uint32_t open_spans;          ///< most spans in flight of one queue
};

/// Threads: one driver, and the pool's workers inside take/finish. The driver never waits for a
/// worker.
class CopyQueue {
  public:
    CopyQueue(const sdk::Host& host, const CopyPolicy& policy, uint32_t depth, void* host_queue);
    /// Waits until no worker is in here any more; after the last completion that is a few
    /// instructions.
    ~CopyQueue();
    CopyQueue(const CopyQueue&) = delete;
    CopyQueue& operator=(const CopyQueue&) = delete;

    /// False: more than one element, too long a one, or one that may be shared.
    bool move_now(const nixl_batch& batch) noexcept;
    uint64_t submit(const nixl_batch& batch) noexcept;
    uint32_t poll(nixl_completion* out, uint32_t capacity) noexcept;
    void cancel(uint64_t tag) noexcept;
    bool arm() noexcept;
    bool assist() noexcept;

    /// Copies of which a worker that stood by was handed half, so far. The driver's.
    [[nodiscard]] uint64_t handed_over() const noexcept { return handed_over_; }

  private:
    // Two numbers in one word, so that a worker leaves only while no span is open: the tasks that
    // look for slices (low half) and the spans with a rest to take (high half).
    static constexpr uint64_t ONE_TASK = 1;
    static constexpr uint64_t ONE_SPAN = uint64_t{1} << 32;
    static uint32_t tasks_of(uint64_t load) noexcept { return static_cast<uint32_t>(load); }
    static uint32_t spans_of(uint64_t load) noexcept { return static_cast<uint32_t>(load >> 32); }

    uint64_t submit_many(const nixl_batch& batch) noexcept;
    bool is_burst(uint64_t bytes) noexcept;
    bool hand_over(const nixl_batch& batch) noexcept;
    uint64_t open_span(const nixl_batch& batch, uint64_t bytes) noexcept;
    [[nodiscard]] SliceLimits limits_of(Taker taker) const noexcept;
    void publish(Span* span) noexcept;
    void share(Span* span) noexcept;
    bool start_task() noexcept;
    void end_task() noexcept;

    static void run_task(void* queue) noexcept { static_cast<CopyQueue*>(queue)->work(); }
    void work() noexcept;
    void wake_more_workers() noexcept;
    void linger(uint64_t* copied) noexcept;
    bool leave() noexcept;
    void wake_if_armed() noexcept;

    /// Caller holds claim_mutex_.
    bool claim(Slice* out, Taker taker) noexcept;
    void drop_cancelled() noexcept;
    void finish(Span* span) noexcept;
    bool take_and_copy(uint64_t* copied) noexcept;
    void collect_finished() noexcept;
    void collect_handed() noexcept;

    const sdk::Host host_;
    const CopyPolicy policy_;
    void* const host_queue_;

    // The driver's.
    sdk::CompletionRing completions_;
    const uint32_t span_limit_;
    uint32_t spans_in_flight_ = 0;
    uint64_t burst_ends_ns_ = 0; // when a next waited copy comes too late to belong to the burst
    uint64_t burst_bytes_ = 0;
    std::unique_ptr<Span[]> spans_;
    nixl_completion handed_ = {}; // of what a worker has half of in handoff_ ...
    bool is_handed_ = false;      // ... if there is something
    uint64_t handed_over_ = 0;

    // Open spans, oldest first: the driver writes at tail_, takers read at head_ under
    // claim_mutex_. A null entry is a span that was cancelled.
    std::mutex claim_mutex_;
    std::unique_ptr<Span*[]> open_;
    const uint32_t open_mask_;
    std::atomic<uint32_t> head_{0};
    std::atomic<uint32_t> tail_{0};
    std::atomic<bool> cancel_requested_{false};

    alignas(64) std::atomic<uint64_t> load_{0};
    std::atomic<uint32_t> tasks_wanted_{1};
    std::atomic<Span*> finished_{nullptr}; // newest first
    std::atomic<bool> armed_{false};

    Handoff handoff_;

    // Tasks that may still touch this object. Falls under exit_mutex_, so that the destructor can
    // wait.
    std::atomic<uint32_t> alive_{0};
    std::mutex exit_mutex_;
    std::condition_variable exited_;
};

} // namespace nixl::core
