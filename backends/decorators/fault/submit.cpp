// SPDX-License-Identifier: Apache-2.0
// The way in: which elements are refused, failed, cut short or passed on.
#include <algorithm>
#include <cerrno>

#include <nixl/sdk/completion_ring.hpp>

#include "backends/decorators/fault/fault_queue.h"

namespace nixl::core {
namespace {

constexpr size_t MOST_PARTS = 1024;
constexpr size_t MOST_WAITING = 4096;

} // namespace

FaultPolicy::FaultPolicy(const sdk::Host& host)
    : seed(host.number("fault.seed", 1)), error_rate(host.rate("fault.error_rate", 0.0)),
      short_rate(host.rate("fault.short_rate", 0.0)),
      refuse_rate(host.rate("fault.refuse_rate", 0.0)),
      delay_rate(host.rate("fault.delay_rate", 0.0)),
      split_rate(host.rate("fault.split_rate", 0.0)),
      reorder_rate(host.rate("fault.reorder_rate", 0.0)),
      hold_rate(host.rate("fault.hold_rate", 0.0)),
      hold_forever(host.flag("fault.hold_forever", false)) {}

FaultQueue::FaultQueue(const ForwardTarget& target)
    : ForwardQueue(target), policy_(*target.host), seed_(mix(policy_.seed) ^ mix(~target.number)),
      parts_(MOST_PARTS) {
    waiting_.reserve(MOST_WAITING);
}

uint64_t FaultQueue::submit(const nixl_batch& batch) noexcept {
    Random random(mix(seed_ ^ submits_++));
    const uint64_t limit = batch.element_count - refused(batch, random);
    const bool has_runs = batch.runs != nullptr;
    sdk::OpCursor at;
    if (has_runs)
        at = sdk::OpCursor(batch);
    uint64_t accepted = 0;
    while (accepted != limit) {
        // Everything up to the next fault goes in one piece.
        sdk::OpCursor ahead = at;
        Fault fault = Fault::NONE;
        uint64_t good = 0;
        while (accepted + good != limit) {
            fault = pick_fault(has_runs ? &ahead : nullptr, random);
            if (fault != Fault::NONE)
                break;
            ++good;
            if (has_runs)
                ahead.next();
        }
        const sdk::OpCursor* const from = has_runs ? &at : nullptr;
        if (good != 0) {
            const uint64_t taken = submit_part(batch, from, batch.first_element + accepted, good);
            accepted += taken;
            if (taken != good)
                break;
            at = ahead;
        }
        if (fault != Fault::NONE) {
            if (!inject(fault, batch, from, batch.first_element + accepted, random))
                break;
            ++accepted;
            if (has_runs)
                at.next();
        }
    }
    in_flight_ += accepted;
    return accepted;
}

/// How many elements at the end of the batch are not taken this time.
uint64_t FaultQueue::refused(const nixl_batch& batch, Random& random) noexcept {
    if (!random.chance(policy_.refuse_rate))
        return 0;
    // With nothing in flight no completion would make the core offer again, so it has to be woken.
    if (in_flight_ == 0 && !target_.host->can_wake())
        return 0;
    was_refused_ = true;
    const uint64_t left_out =
        random.chance(0.5) ? batch.element_count : 1 + random.below(batch.element_count);
    target_.host->wake(target_.host_queue);
    return left_out;
}

FaultQueue::Fault FaultQueue::pick_fault(const sdk::OpCursor* at, Random& random) const noexcept {
    if (policy_.error_rate > 0.0 && random.chance(policy_.error_rate))
        return Fault::ERROR;
    if (policy_.short_rate > 0.0 && random.chance(policy_.short_rate) && at != nullptr &&
        at->bytes() >= 2)
        return Fault::SHORT;
    return Fault::NONE;
}

uint64_t FaultQueue::submit_part(const nixl_batch& batch, const sdk::OpCursor* at, uint64_t first,
                                 uint64_t count) noexcept {
    Part* const part = open_part();
    if (part == nullptr)
        return 0;
    nixl_batch inner = batch;
    inner.tag = inner_tag(*part);
    if (at != nullptr)
        at->store_position(&inner, batch.runs);
    inner.first_element = first;
    inner.element_count = count;
    part->tag = batch.tag;
    part->first_element = first;
    part->is_short = false;
    part->has_runs = at != nullptr;
    if (at != nullptr)
        part->start = *at;
    const uint64_t accepted = ForwardQueue::submit(inner);
    part->elements_left = accepted;
    part->is_open = accepted != 0;
    return accepted;
}

bool FaultQueue::inject(Fault fault, const nixl_batch& batch, const sdk::OpCursor* at,
                        uint64_t element, Random& random) noexcept {
    if (fault == Fault::SHORT)
        return submit_short(batch, *at, 1 + random.below(at->bytes() - 1));
    if (room() == 0)
        return false;
    enqueue(sdk::failed(batch.tag, element, 1, NIXL_IO_ERROR, EIO), true, random);
    return true;
}

bool FaultQueue::submit_short(const nixl_batch& batch, const sdk::OpCursor& at,
                              uint64_t bytes) noexcept {
    Part* const part = open_part();
    if (part == nullptr)
        return false;
    part->tag = batch.tag;
    part->first_element = at.element();
    part->is_short = true;
    part->has_runs = false;
    part->shortened =
        nixl_run{at.source_offset(), at.target_offset(), bytes, 0, 0, 1, at.run().pair, 0};
    nixl_batch inner = batch;
    inner.tag = inner_tag(*part);
    inner.runs = &part->shortened;
    inner.run_count = 1;
    inner.first_element = 0;
    inner.element_count = 1;
    inner.first_run = 0;
    inner.first_in_run = 0;
    const uint64_t accepted = ForwardQueue::submit(inner);
    part->elements_left = accepted;
    part->is_open = accepted != 0;
    return accepted != 0;
}

/// A free part; it is taken once is_open is set.
FaultQueue::Part* FaultQueue::open_part() noexcept {
    const auto found =
        std::find_if(parts_.begin(), parts_.end(), [](const Part& part) { return !part.is_open; });
    if (found == parts_.end())
        return nullptr;
    ++found->generation;
    found->is_cancelled = false;
    found->serial = parts_started_++;
    return &*found;
}

uint64_t FaultQueue::inner_tag(const Part& part) const noexcept {
    return (uint64_t{part.generation} << 32) | static_cast<uint64_t>(&part - parts_.data());
}

nixl_status FaultQueue::notify(nixl_peer_id peer, const void* message, uint64_t bytes,
                               uint64_t tag) noexcept {
    Part* const part = open_part();
    if (part == nullptr)
        return NIXL_AGAIN;
    part->tag = tag;
    part->first_element = 0;
    part->is_short = false;
    part->has_runs = false;
    const nixl_status status = ForwardQueue::notify(peer, message, bytes, inner_tag(*part));
    part->elements_left = 1;
    part->is_open = status == NIXL_OK;
    in_flight_ += part->is_open ? 1 : 0;
    return status;
}

} // namespace nixl::core
