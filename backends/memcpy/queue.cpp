// SPDX-License-Identifier: Apache-2.0
// HOT. The driver's side of a copy queue: submit, poll, cancel, arm. The workers' side is
// workers.cpp.
#include "backends/memcpy/queue.h"

#include <algorithm>

namespace nixl::core {
namespace {

constexpr uint32_t RING_ENTRIES = 1024;
constexpr uint32_t ENTRIES_PER_SPAN = 2; // a finished prefix and a cancelled rest

/// Copies that follow each other this closely find workers warm, which are so for 20 us ...
constexpr uint64_t BURST_GAP_NS = 15'000;
/// ... once they were woken, which costs as much as all of these gain.
constexpr uint64_t BURST_BYTES = 1u << 20;

/// The bytes of a batch, but no further than `enough`: a long list is not walked to its end.
uint64_t bytes_up_to(const nixl_batch& batch, uint64_t enough) noexcept {
    const nixl_run* run = batch.runs + batch.first_run;
    uint64_t left = batch.element_count;
    uint64_t bytes = 0;
    for (uint64_t first = batch.first_in_run; left != 0 && bytes < enough; first = 0, ++run) {
        const uint64_t here = std::min(run->count - first, left);
        bytes += here * run->bytes; // cannot wrap: the core has checked every range
        left -= here;
    }
    return bytes;
}

} // namespace

CopyQueue::CopyQueue(const sdk::Host& host, const CopyPolicy& policy, uint32_t depth,
                     void* host_queue)
    : host_(host), policy_(policy), host_queue_(host_queue), completions_(RING_ENTRIES),
      span_limit_(std::clamp(depth == 0 ? policy.open_spans : depth, 1u, policy.open_spans)),
      // allow(hot): once, at queue_open(). allow(naked-new): owned by the members.
      spans_(new Span[span_limit_]), open_(new Span*[sdk::detail::ring_capacity(span_limit_)]),
      open_mask_(sdk::detail::ring_capacity(span_limit_) - 1) {}

bool CopyQueue::move_now(const nixl_batch& batch) noexcept {
    const nixl_run& run = batch.runs[batch.first_run];
    const bool may_share =
        (batch.flags & NIXL_BATCH_WAITED) != 0 && run.bytes >= policy_.burst_bytes;
    if (batch.element_count != 1 || run.bytes > policy_.inline_bytes || may_share)
        return false;
    const uint64_t step = batch.first_in_run;
    const nixl_region_pair& pair = batch.pairs[run.pair];
    std::memmove(static_cast<unsigned char*>(pair.target.base) + run.target_offset +
                     step * static_cast<uint64_t>(run.target_stride),
                 static_cast<const unsigned char*>(pair.source.base) + run.source_offset +
                     step * static_cast<uint64_t>(run.source_stride),
                 run.bytes);
    return true;
}

uint64_t CopyQueue::submit(const nixl_batch& batch) noexcept {
    if (completions_.room() <= ENTRIES_PER_SPAN * spans_in_flight_)
        return 0;
    if (!move_now(batch))
        return submit_many(batch);
    completions_.add_whole(
        sdk::whole(batch.tag, batch.first_element, 1, batch.runs[batch.first_run].bytes));
    return 1;
}

uint64_t CopyQueue::submit_many(const nixl_batch& batch) noexcept {
    const bool is_waited = (batch.flags & NIXL_BATCH_WAITED) != 0;
    const uint64_t limit = is_waited ? policy_.waited_inline_bytes : policy_.inline_bytes;
    // As far as any decision looks; without workers the answer has to be exact.
    const uint64_t enough =
        policy_.workers == 0
            ? UINT64_MAX
            : std::max({limit + 1, policy_.stream_bytes, policy_.workers * policy_.worker_bytes});
    const uint64_t bytes = bytes_up_to(batch, enough);
    const bool may_share = is_waited && bytes >= policy_.burst_bytes;
    if (policy_.workers != 0 && (bytes > limit || (may_share && is_burst(bytes))))
        return bytes <= limit && hand_over(batch) ? 1 : open_span(batch, bytes);
    const StreamFunction stream = bytes >= policy_.stream_bytes ? policy_.stream : nullptr;
    copy_elements(sdk::OpCursor(batch), batch.element_count, stream);
    if (stream != nullptr)
        stream_fence();
    if (may_share)
        burst_ends_ns_ = host_.now_ns() + BURST_GAP_NS;
    completions_.add_whole(sdk::whole(batch.tag, batch.first_element, batch.element_count, bytes));
    return batch.element_count;
}

/// One more waited copy that a thread could make alone: whether so many came one right after the
/// other that workers are warm, or worth being woken.
bool CopyQueue::is_burst(uint64_t bytes) noexcept {
    // Workers that have something to do take it first. One worker stands for one CPU: the poster's.
    if (spans_in_flight_ != 0 || policy_.workers < 2)
        return false;
    // relaxed: a hint. A task that lingers here is warmer than any.
    if (tasks_of(load_.load(std::memory_order_relaxed)) != 0)
        return true;
    burst_bytes_ = host_.now_ns() < burst_ends_ns_ ? burst_bytes_ + bytes : 0;
    return burst_bytes_ >= BURST_BYTES;
}

/// Two threads are enough for so little, and one of them stands by: half of it each. False: no, or
/// the halves depend on each other.
bool CopyQueue::hand_over(const nixl_batch& batch) noexcept {
    const sdk::OpCursor at(batch);
    const uint64_t bytes = at.bytes();
    const uint64_t mine = bytes / 2 & ~(PAGE_BYTES - 1);
    if (batch.element_count != 1 || bytes > 2 * policy_.worker_bytes ||
        bytes >= policy_.stream_bytes || overlaps(at.target(), at.source(), bytes) ||
        !handoff_.give(at.target() + mine, at.source() + mine, bytes - mine))
        return false;
    ++spans_in_flight_; // it has a span's place among the completions
    is_handed_ = true;
    ++handed_over_;
    handed_ = sdk::whole(batch.tag, batch.first_element, 1, bytes);
    copy_range(at.target(), at.source(), mine, nullptr);
    burst_ends_ns_ = host_.now_ns() + BURST_GAP_NS; // the other half ends about now
    return true;
}

uint64_t CopyQueue::open_span(const nixl_batch& batch, uint64_t bytes) noexcept {
    // acquire: pairs with claim(); a slot that was taken from is free to be written.
    const uint32_t filled =
        tail_.load(std::memory_order_relaxed) - head_.load(std::memory_order_acquire);
    if (spans_in_flight_ == span_limit_ || filled > open_mask_ ||
        completions_.room() <= ENTRIES_PER_SPAN * (spans_in_flight_ + 1))
        return 0;
    Span* span = std::find_if(spans_.get(), spans_.get() + span_limit_,
                              [](const Span& candidate) { return !candidate.in_flight; });
    span->tag = batch.tag;
    span->first_element = batch.first_element;
    span->element_count = batch.element_count;
    span->stream = bytes >= policy_.stream_bytes ? policy_.stream : nullptr;
    span->bytes = bytes;
    span->in_flight = true;
    span->cursor = sdk::OpCursor(batch);
    span->taken_of_element = 0;
    span->taken_bytes = 0;
    // relaxed: the span becomes visible to others with tail_.
    span->pending.store(1, std::memory_order_relaxed);
    span->cancelled.store(false, std::memory_order_relaxed);
    ++spans_in_flight_;

    // The poster helps when it waits, so one worker less is woken.
    const uint64_t helpers = (batch.flags & NIXL_BATCH_WAITED) != 0 ? 1 : 0;
    const uint64_t threads = std::min<uint64_t>(
        policy_.workers, spans_in_flight_ > 1 ? policy_.workers : bytes / policy_.worker_bytes);
    const uint64_t wanted = std::max<uint64_t>(threads - std::min(threads, helpers), 1);
    // relaxed: only a wish; nothing is ordered by it.
    tasks_wanted_.store(static_cast<uint32_t>(wanted), std::memory_order_relaxed);
    span->sharers = static_cast<uint32_t>(wanted + helpers);
    span->front_bytes = helpers == 0 ? 0 : bytes / span->sharers & ~(PAGE_BYTES - 1);
    if (helpers != 0 && spans_in_flight_ == 1 &&
        !next_slice_is_long(*span, limits_of(Taker::DRIVER)))
        share(span);
    else
        publish(span);
    return batch.element_count;
}

/// Who drives goes back to poll() soon.
SliceLimits CopyQueue::limits_of(Taker taker) const noexcept {
    const uint64_t most = taker == Taker::DRIVER ? 8 * policy_.slice_bytes : policy_.share_bytes;
    return {policy_.slice_bytes, std::min(most, policy_.share_bytes)};
}

/// The poster waits: it copies the first share right here, while the others start with the rest.
/// Taken before they can, so that it is the same part each time.
void CopyQueue::share(Span* span) noexcept {
    const Slice mine = take_slice(span, limits_of(Taker::DRIVER), Taker::DRIVER);
    // relaxed: as above. One for this slice, and one for the rest if there is any.
    const bool is_all = span->cursor.done();
    span->pending.store(is_all ? 1 : 2, std::memory_order_relaxed);
    if (!is_all)
        publish(span);
    copy_slice(mine);
    finish(span);
}

void CopyQueue::publish(Span* span) noexcept {
    const uint32_t tail = tail_.load(std::memory_order_relaxed);
    open_[tail & open_mask_] = span;
    tail_.store(tail + 1, std::memory_order_release); // pairs with claim()
    // One task at most is started here, one system call; it starts the others.
    const uint64_t before = load_.fetch_add(ONE_SPAN);
    if (tasks_of(before) >= tasks_wanted_.load(std::memory_order_relaxed) || start_task())
        return;
    // The pool's own queue is full. Where another task is at work it will get here; else this
    // thread copies, since accepted work must finish without poll().
    if (tasks_of(load_.load()) != 0)
        return;
    uint64_t copied = 0;
    while (take_and_copy(&copied)) {}
}

uint32_t CopyQueue::poll(nixl_completion* out, uint32_t capacity) noexcept {
    // relaxed: a hint; collect_finished() acquires.
    if (finished_.load(std::memory_order_relaxed) != nullptr)
        collect_finished();
    if (is_handed_ && handoff_.is_copied())
        collect_handed();
    return completions_.take(out, capacity);
}

void CopyQueue::collect_handed() noexcept {
    is_handed_ = false;
    --spans_in_flight_;
    completions_.add_whole(handed_);
}

void CopyQueue::collect_finished() noexcept {
    // acquire: pairs with finish(); the copied bytes and the span's fields are visible.
    Span* newest = finished_.exchange(nullptr, std::memory_order_acquire);
    Span* oldest = nullptr;
    while (newest != nullptr) {
        Span* const next = newest->next_finished;
        newest->next_finished = oldest;
        oldest = newest;
        newest = next;
    }
    for (Span* span = oldest; span != nullptr; span = span->next_finished) {
        nixl_completion entries[ENTRIES_PER_SPAN];
        const uint32_t count = completions_of(*span, entries);
        for (uint32_t i = 0; i < count; ++i)
            if (entries[i].status == NIXL_OK)
                completions_.add_whole(entries[i]);
            else
                completions_.add_single(entries[i]);
        span->in_flight = false;
        --spans_in_flight_;
        burst_ends_ns_ = span->completed_ns + BURST_GAP_NS;
    }
}

void CopyQueue::cancel(uint64_t tag) noexcept {
    bool found = false;
    for (uint32_t i = 0; i < span_limit_; ++i)
        if (spans_[i].in_flight && spans_[i].tag == tag) {
            // release with cancel_requested_ below.
            spans_[i].cancelled.store(true, std::memory_order_relaxed);
            found = true;
        }
    if (!found)
        return;
    cancel_requested_.store(true, std::memory_order_release); // pairs with drop_cancelled()
    // Where the lock is taken, its holder is a taker that looks for requests before its next slice.
    // allow(hot): never waits.
    const std::unique_lock lock(claim_mutex_, std::try_to_lock);
    if (lock.owns_lock())
        drop_cancelled();
}

bool CopyQueue::arm() noexcept {
    if (!completions_.empty())
        return false;
    // seq_cst on all: workers add, or are through, first and look at armed_ after; here it is the
    // other way round.
    armed_.store(true);
    if (finished_.load() == nullptr && !(is_handed_ && handoff_.is_copied()))
        return true;
    armed_.store(false);
    return false;
}

} // namespace nixl::core
