// SPDX-License-Identifier: Apache-2.0
// The way out: completions that are late, split, reordered or held.
#include <algorithm>

#include "backends/decorators/fault/fault_queue.h"

namespace nixl::core {
namespace {

constexpr uint64_t MOST_DELAY_POLLS = 16;

} // namespace

uint32_t FaultQueue::poll(nixl_completion* out, uint32_t capacity) noexcept {
    take_from_inner();
    uint32_t count = 0;
    const auto appears = [&](Waiting& waiting) {
        if (waiting.polls != 0) {
            --waiting.polls;
            return false;
        }
        if (waiting.held || count == capacity)
            return false;
        out[count++] = waiting.entry;
        in_flight_ -= std::min(in_flight_, waiting.entry.element_count);
        return true;
    };
    // Keeps the order of those that stay; looks at each exactly once, front to back.
    waiting_.erase(std::remove_if(waiting_.begin(), waiting_.end(), appears), waiting_.end());
    return count;
}

void FaultQueue::take_from_inner() noexcept {
    constexpr uint64_t ENTRIES = 32;
    nixl_completion entries[ENTRIES];
    for (;;) {
        // Each may become two.
        const uint64_t most = std::min(ENTRIES, room() / 2);
        if (most == 0)
            return;
        const uint32_t count = ForwardQueue::poll(entries, static_cast<uint32_t>(most));
        for (uint32_t i = 0; i < count; ++i)
            arrive(entries[i]);
        if (count < most)
            return;
    }
}

/// Gives the completion back its tag, and cuts it in two where that is drawn.
void FaultQueue::arrive(const nixl_completion& inner) noexcept {
    const uint64_t index = inner.tag & UINT32_MAX;
    if (index >= parts_.size() || !parts_[index].is_open || inner_tag(parts_[index]) != inner.tag) {
        // Not ours to hide: the core sees the inner backend's mistake as an unknown tag.
        waiting_.push_back({inner, 0, false});
        return;
    }
    Part& part = parts_[index];
    nixl_completion entry = inner;
    entry.tag = part.tag;
    if (part.is_short)
        entry.first_element = part.first_element;
    part.elements_left -= std::min(part.elements_left, entry.element_count);
    part.is_open = part.elements_left != 0;

    // From the part and the place in it, not from the order of arrival, which differs between runs.
    Random random(mix(seed_ ^ mix(part.serial) ^ mix(entry.first_element * 2 + 1)));
    const bool splits = entry.status == NIXL_OK && entry.element_count > 1 && part.has_runs &&
                        random.chance(policy_.split_rate);
    if (splits) {
        nixl_completion front = entry;
        front.element_count = 1 + random.below(entry.element_count - 1);
        front.bytes = bytes_of(part, front.first_element, front.element_count);
        entry.first_element += front.element_count;
        entry.element_count -= front.element_count;
        entry.bytes -= front.bytes;
        enqueue(front, !part.is_cancelled, random);
    }
    enqueue(entry, !part.is_cancelled, random);
}

uint64_t FaultQueue::bytes_of(const Part& part, uint64_t first, uint64_t count) const noexcept {
    sdk::OpCursor at = part.start;
    at.skip(first - part.first_element);
    uint64_t bytes = 0;
    for (; count != 0; --count, at.next())
        bytes += at.bytes();
    return bytes;
}

void FaultQueue::enqueue(const nixl_completion& entry, bool may_hold, Random& random) noexcept {
    Waiting waiting{entry, 0, false};
    const bool can_come_back = target_.inner->cancel != nullptr;
    if (random.chance(policy_.hold_rate) && (policy_.hold_forever || (can_come_back && may_hold)))
        waiting.held = true;
    if (random.chance(policy_.delay_rate))
        waiting.polls = 1 + static_cast<uint32_t>(random.below(MOST_DELAY_POLLS));
    auto place = waiting_.end();
    if (random.chance(policy_.reorder_rate))
        place -= static_cast<std::ptrdiff_t>(random.below(waiting_.size() + 1));
    waiting_.insert(place, waiting);
}

void FaultQueue::cancel(uint64_t tag) noexcept {
    for (Part& part : parts_)
        if (part.is_open && part.tag == tag) {
            part.is_cancelled = true;
            ForwardQueue::cancel(inner_tag(part));
        }
    if (policy_.hold_forever)
        return;
    take_from_inner();
    for (Waiting& waiting : waiting_) {
        if (waiting.entry.tag != tag || !waiting.held)
            continue;
        waiting.held = false;
        // As it went, or as cancelled; its bytes moved either way.
        Random random(mix(seed_ ^ mix(waiting.entry.first_element) ^ mix(submits_)));
        if (waiting.entry.status == NIXL_OK && random.chance(0.5))
            waiting.entry.status = NIXL_CANCELLED;
    }
    // What was held is there now, and the driver may sleep since arm() said that nothing would
    // come.
    target_.host->wake(target_.host_queue);
}

int FaultQueue::arm() noexcept {
    const bool polls_help = std::any_of(waiting_.begin(), waiting_.end(),
                                        [](const Waiting& waiting) { return !waiting.held; });
    if (polls_help || was_refused_) {
        was_refused_ = false;
        return 0;
    }
    return ForwardQueue::arm();
}

/// Delayed completions can't make the inner descriptor readable. Where the core has to arm first,
/// arm() keeps it polling; where it has not, there must be no descriptor.
int FaultQueue::fd() noexcept { return target_.inner->arm == nullptr ? -1 : ForwardQueue::fd(); }

} // namespace nixl::core
