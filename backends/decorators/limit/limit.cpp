// SPDX-License-Identifier: Apache-2.0
// Elements in flight are counted; bytes per second are a credit that fills with time.
#include "backends/decorators/limit/limit.h"

#include <algorithm>

#include <nixl/sdk/op_cursor.hpp>

namespace nixl::core {
namespace {

/// What may be moved at once after a pause: 10 ms worth.
constexpr double MOST_CREDIT_NS = 10e6;

} // namespace

void LimitQueue::adjust(const sdk::Host& host, nixl_caps* caps) noexcept {
    constexpr size_t NEEDED = offsetof(nixl_caps, max_depth) + sizeof(nixl_caps::max_depth);
    const auto depth = static_cast<uint32_t>(host.number("limit.depth", 0, 0, UINT32_MAX));
    if (depth != 0 && caps->struct_size >= NEEDED)
        caps->max_depth = caps->max_depth == 0 ? depth : std::min(caps->max_depth, depth);
}

LimitQueue::LimitQueue(const ForwardTarget& target)
    : ForwardQueue(target), depth_(target.host->number("limit.depth", 0)),
      bytes_per_ns_(static_cast<double>(target.host->number("limit.bytes_per_second", 0)) / 1e9),
      most_credit_bytes_(std::max(1.0, bytes_per_ns_ * MOST_CREDIT_NS)),
      credit_bytes_(most_credit_bytes_), refilled_ns_(target.host->now_ns()) {}

void LimitQueue::refill() noexcept {
    const uint64_t now = target_.host->now_ns();
    if (now <= refilled_ns_)
        return;
    const double earned = static_cast<double>(now - refilled_ns_) * bytes_per_ns_;
    credit_bytes_ = std::min(most_credit_bytes_, credit_bytes_ + earned);
    refilled_ns_ = now;
}

/// How many elements the credit covers; the last one may overdraw it.
uint64_t LimitQueue::affordable(const nixl_batch& batch, uint64_t most) noexcept {
    refill();
    if (credit_bytes_ <= 0.0)
        return 0;
    if (batch.runs == nullptr)
        return most;
    double credit = credit_bytes_;
    uint64_t count = 0;
    for (sdk::OpCursor at(batch, most); !at.done() && credit > 0.0; at.next(), ++count)
        credit -= static_cast<double>(at.bytes());
    return count;
}

uint64_t LimitQueue::submit(const nixl_batch& batch) noexcept {
    nixl_batch part = batch;
    if (depth_ != 0)
        part.element_count = std::min(part.element_count, depth_ - std::min(depth_, in_flight_));
    if (bytes_per_ns_ > 0.0 && part.element_count != 0) {
        part.element_count = affordable(batch, part.element_count);
        starved_ = part.element_count == 0;
        if (starved_)
            target_.host->wake(target_.host_queue);
    }
    if (part.element_count == 0)
        return 0;
    const uint64_t accepted = ForwardQueue::submit(part);
    in_flight_ += accepted;
    if (batch.runs == nullptr)
        uncharged_ += accepted;
    else if (bytes_per_ns_ > 0.0)
        for (sdk::OpCursor at(batch, accepted); !at.done(); at.next())
            credit_bytes_ -= static_cast<double>(at.bytes());
    return accepted;
}

uint32_t LimitQueue::poll(nixl_completion* out, uint32_t capacity) noexcept {
    const uint32_t count = ForwardQueue::poll(out, capacity);
    for (uint32_t i = 0; i < count; ++i) {
        in_flight_ -= std::min(in_flight_, out[i].element_count);
        if (uncharged_ != 0) {
            uncharged_ -= std::min(uncharged_, out[i].element_count);
            credit_bytes_ -= static_cast<double>(out[i].bytes);
        }
    }
    return count;
}

int LimitQueue::arm() noexcept {
    if (starved_) {
        refill();
        starved_ = credit_bytes_ <= 0.0;
        return 0; // poll, and offer again
    }
    return ForwardQueue::arm();
}

nixl_status LimitQueue::notify(nixl_peer_id peer, const void* message, uint64_t bytes,
                               uint64_t tag) noexcept {
    if (depth_ != 0 && in_flight_ >= depth_)
        return NIXL_AGAIN;
    const nixl_status status = ForwardQueue::notify(peer, message, bytes, tag);
    if (status == NIXL_OK)
        ++in_flight_;
    return status;
}

} // namespace nixl::core
