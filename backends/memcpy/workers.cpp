// SPDX-License-Identifier: Apache-2.0
// HOT. The workers' side of a copy queue: taking slices, finishing spans, coming and going.
#include "backends/memcpy/queue.h"

#include <algorithm>

namespace nixl::core {
namespace {

/// After so much a task goes to the end of the pool's queue, so that others' work is not kept
/// waiting for longer than some 10 ms of copying.
constexpr uint64_t TURN_BYTES = 64u << 20;

/// A task looks for a next span this long before it gives its thread back: posts back to back then
/// cost no round through the pool.
constexpr uint64_t LINGER_NS = 3'000;

} // namespace

CopyQueue::~CopyQueue() {
    // allow(hot): closing.
    std::unique_lock lock(exit_mutex_);
    exited_.wait(lock, [this] { return alive_.load() == 0; });
}

bool CopyQueue::start_task() noexcept {
    load_.fetch_add(ONE_TASK);
    alive_.fetch_add(1);
    if (host_.run(run_task, this) == NIXL_OK)
        return true;
    load_.fetch_sub(ONE_TASK);
    end_task();
    return false;
}

/// The last thing that a task does here.
void CopyQueue::end_task() noexcept {
    // Under the lock, so that the destructor does not return between the two.
    // allow(hot): a worker's last step.
    const std::lock_guard lock(exit_mutex_);
    alive_.fetch_sub(1);
    exited_.notify_all();
}

void CopyQueue::work() noexcept {
    wake_more_workers();
    uint64_t copied = 0;
    for (;;) {
        const bool took = take_and_copy(&copied);
        if (!took)
            linger(&copied);
        if (copied >= TURN_BYTES) {
            copied = 0;
            // The task's place in load_ and alive_ passes to its next run; after OK this object may
            // be gone.
            if (host_.run(run_task, this) == NIXL_OK)
                return;
        } else if (!took && leave()) {
            break;
        }
    }
    end_task();
}

/// Each task that starts wakes two more while they are wanted, so that the poster pays for one
/// only.
void CopyQueue::wake_more_workers() noexcept {
    for (int i = 0; i < 2; ++i) {
        const uint64_t load = load_.load();
        if (spans_of(load) == 0 ||
            tasks_of(load) >= tasks_wanted_.load(std::memory_order_relaxed) || !start_task())
            return;
    }
}

/// Until a span is open, the turn is over, or nothing came for a while. One task of those that
/// linger copies what is handed over meanwhile.
void CopyQueue::linger(uint64_t* copied) noexcept {
    // One worker stands for one CPU: lingering there keeps the giver of work from running.
    const uint64_t patience_ns = policy_.workers > 1 ? LINGER_NS : 0;
    const bool stands_by = patience_ns != 0 && handoff_.stand_by();
    uint64_t end = host_.now_ns() + patience_ns;
    const auto copy_given = [&] {
        const uint64_t bytes = stands_by ? handoff_.copy_given() : 0;
        if (bytes == 0)
            return;
        wake_if_armed();
        *copied += bytes;
        end = host_.now_ns() + patience_ns;
    };
    // relaxed: a hint; what it stands for is read under the claim lock.
    while (spans_of(load_.load(std::memory_order_relaxed)) == 0 && *copied < TURN_BYTES &&
           host_.now_ns() < end)
        copy_given();
    while (stands_by && !handoff_.stand_down())
        copy_given();
}

/// False when a span was opened meanwhile: then the task has to stay.
bool CopyQueue::leave() noexcept {
    uint64_t load = load_.load();
    while (spans_of(load) == 0)
        if (load_.compare_exchange_weak(load, load - ONE_TASK))
            return true;
    return false;
}

bool CopyQueue::claim(Slice* out, Taker taker) noexcept {
    drop_cancelled();
    uint32_t head = head_.load(std::memory_order_relaxed); // written under this lock only
    // acquire: pairs with publish().
    for (; head != tail_.load(std::memory_order_acquire); ++head) {
        Span* const span = open_[head & open_mask_];
        if (span == nullptr)
            continue;
        const SliceLimits limits = limits_of(taker);
        if (taker == Taker::DRIVER && next_slice_is_long(*span, limits))
            break;
        *out = take_slice(span, limits, taker);
        // relaxed: goes up only while this thread, too, is counted in it.
        span->pending.fetch_add(1, std::memory_order_relaxed);
        if (span->cursor.done()) {
            ++head;
            load_.fetch_sub(ONE_SPAN);
            span->pending.fetch_sub(1, std::memory_order_relaxed); // the rest; our slice is left
        }
        head_.store(head, std::memory_order_release); // pairs with open_span()
        return true;
    }
    head_.store(head, std::memory_order_release);
    return false;
}

void CopyQueue::drop_cancelled() noexcept {
    // acquire: pairs with cancel().
    if (!cancel_requested_.load(std::memory_order_relaxed) ||
        !cancel_requested_.exchange(false, std::memory_order_acquire))
        return;
    const uint32_t tail = tail_.load(std::memory_order_acquire);
    for (uint32_t i = head_.load(std::memory_order_relaxed); i != tail; ++i) {
        Span* const span = open_[i & open_mask_];
        if (span == nullptr || !span->cancelled.load(std::memory_order_relaxed))
            continue;
        open_[i & open_mask_] = nullptr;
        load_.fetch_sub(ONE_SPAN);
        finish(span); // the rest that nobody will take
    }
    // Their places are free at once: there may be no taker left to go past them.
    uint32_t head = head_.load(std::memory_order_relaxed);
    while (head != tail && open_[head & open_mask_] == nullptr)
        ++head;
    head_.store(head, std::memory_order_release); // pairs with open_span()
}

/// Gives back one count of `pending`, and the span with the last one.
void CopyQueue::finish(Span* span) noexcept {
    // acq_rel: what every thread copied is visible to the one that hands the span back.
    if (span->pending.fetch_sub(1, std::memory_order_acq_rel) != 1)
        return;
    span->completed_ns = host_.now_ns();
    Span* head = finished_.load(std::memory_order_relaxed);
    do {
        span->next_finished = head;
    } while (!finished_.compare_exchange_weak(head, span)); // seq_cst, see arm()
    wake_if_armed();
}

void CopyQueue::wake_if_armed() noexcept {
    if (armed_.load() && armed_.exchange(false))
        host_.wake(host_queue_);
}

bool CopyQueue::take_and_copy(uint64_t* copied) noexcept {
    Slice slice;
    {
        // allow(hot): workers alone wait here, for some instructions.
        const std::lock_guard lock(claim_mutex_);
        if (!claim(&slice, Taker::WORKER))
            return false;
    }
    copy_slice(slice);
    *copied += slice.bytes;
    finish(slice.span);
    return true;
}

bool CopyQueue::assist() noexcept {
    // relaxed: a hint. Asked in a loop, and the lock's line is the workers'.
    if (spans_of(load_.load(std::memory_order_relaxed)) == 0)
        return false;
    Slice slice;
    {
        // allow(hot): never waits.
        const std::unique_lock lock(claim_mutex_, std::try_to_lock);
        if (!lock.owns_lock() || !claim(&slice, Taker::DRIVER))
            return false;
    }
    copy_slice(slice);
    finish(slice.span);
    return true;
}

} // namespace nixl::core
