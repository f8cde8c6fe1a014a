// SPDX-License-Identifier: Apache-2.0
// HOT. Cutting a span into slices and copying them.
#include "backends/memcpy/span.h"

#include <nixl/sdk/completion_ring.hpp>

namespace nixl::core {
namespace {

/// The taker's share of what is left, so that threads end together.
uint64_t slice_bytes_of(const Span& span, SliceLimits limits) noexcept {
    const uint64_t left = span.bytes - std::min(span.bytes, span.taken_bytes);
    return std::clamp(left / span.sharers & ~(PAGE_BYTES - 1), limits.least, limits.most);
}

/// A rest smaller than half a slice is not worth one of its own.
uint64_t part_bytes(uint64_t left, uint64_t slice_bytes) noexcept {
    return left < slice_bytes + slice_bytes / 2 ? left : slice_bytes;
}

bool is_cut(const Span& span, uint64_t slice_bytes) noexcept {
    const sdk::OpCursor& at = span.cursor;
    return part_bytes(at.bytes() - span.taken_of_element, slice_bytes) < at.bytes() &&
           !overlaps(at.target(), at.source(), at.bytes());
}

Slice take_part(Span* span, uint64_t slice_bytes, Taker taker) noexcept {
    const uint64_t bytes = span->cursor.bytes();
    Span::Part& front = span->parts[0];
    Span::Part& back = span->parts[1];
    if (span->taken_of_element == 0) {
        front = {0, std::min(span->front_bytes, bytes)};
        back = {front.end, bytes};
    }
    const bool from_front =
        back.next == back.end || (taker == Taker::DRIVER && front.next != front.end);
    Span::Part& part = from_front ? front : back;

    Slice slice;
    slice.span = span;
    slice.cursor = span->cursor;
    slice.part_offset = part.next;
    slice.bytes = part_bytes(part.end - part.next, slice_bytes);
    part.next += slice.bytes;
    span->taken_of_element += slice.bytes;
    if (span->taken_of_element == bytes) {
        span->taken_of_element = 0;
        span->cursor.next();
    }
    return slice;
}

Slice take_elements(Span* span, uint64_t slice_bytes) noexcept {
    Slice slice;
    slice.span = span;
    slice.cursor = span->cursor;
    sdk::OpCursor& at = span->cursor;
    do {
        const uint64_t room = slice_bytes - slice.bytes;
        uint64_t count = 1;
        if (at.left_in_run() > 1 && at.bytes() < room)
            count = std::min(at.left_in_run(), room / at.bytes());
        slice.elements += count;
        slice.bytes += count * at.bytes();
        at.skip(count);
    } while (!at.done() && slice.bytes + at.bytes() <= slice_bytes);
    return slice;
}

} // namespace

Slice take_slice(Span* span, SliceLimits limits, Taker taker) noexcept {
    const uint64_t slice_bytes = slice_bytes_of(*span, limits);
    const Slice slice = is_cut(*span, slice_bytes) ? take_part(span, slice_bytes, taker)
                                                   : take_elements(span, slice_bytes);
    span->taken_bytes += slice.bytes;
    return slice;
}

bool next_slice_is_long(const Span& span, SliceLimits limits) noexcept {
    const uint64_t slice_bytes = slice_bytes_of(span, limits);
    return span.cursor.bytes() / 2 > slice_bytes && !is_cut(span, slice_bytes);
}

void copy_slice(const Slice& slice) noexcept {
    const StreamFunction stream = slice.span->stream;
    if (slice.elements != 0)
        copy_elements(slice.cursor, slice.elements, stream);
    else
        copy_range(slice.cursor.target() + slice.part_offset,
                   slice.cursor.source() + slice.part_offset, slice.bytes, stream);
    if (stream != nullptr)
        stream_fence();
}

uint32_t completions_of(const Span& span, nixl_completion out[2]) noexcept {
    const uint64_t rest = span.cursor.elements_left();
    const uint64_t whole = span.element_count - rest;
    uint32_t count = 0;
    if (whole != 0)
        out[count++] = sdk::whole(span.tag, span.first_element, whole,
                                  span.taken_bytes - span.taken_of_element, span.completed_ns);
    if (rest != 0)
        out[count++] = sdk::failed(span.tag, span.first_element + whole, rest, NIXL_CANCELLED, 0,
                                   span.taken_of_element, span.completed_ns);
    return count;
}

} // namespace nixl::core
