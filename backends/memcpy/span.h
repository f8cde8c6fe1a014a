// SPDX-License-Identifier: Apache-2.0
// One accepted batch that is too large to copy inside submit(), and the slices that threads take of
// it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include <nixl/backend.h>
#include <nixl/sdk/op_cursor.hpp>

#include "backends/memcpy/copy.h"

namespace nixl::core {

constexpr uint64_t PAGE_BYTES = 4096; // threads' shares begin with one where the memory does

/// Who takes a slice.
enum class Taker { DRIVER, WORKER };

/// Elements are taken in order, so that what has been taken is always a prefix: a cancelled span is
/// whole elements, one that may be copied in part, and a rest that nobody touched.
struct Span {
    // Written by the driver before the span is published.
    uint64_t tag = 0;
    uint64_t first_element = 0;
    uint64_t element_count = 0;
    StreamFunction stream = nullptr; // null: through the cache
    uint64_t bytes = 0;              // at least; a long list is not added up to its end
    uint32_t sharers = 1;            // threads that are expected to take slices
    uint64_t front_bytes = 0;        // of an element that is cut: what the driver begins with
    bool in_flight = false;          // the driver's own mark

    // Guarded by the queue's claim lock until the last slice is finished.
    sdk::OpCursor cursor;          // the next element to take ...
    uint64_t taken_of_element = 0; // ... and how many of its bytes are taken already
    uint64_t taken_bytes = 0;
    // What is left of an element that is cut. The driver takes from the first part and workers from
    // the second while they can: in repeated copies of what fits into the caches each then finds
    // its own lines again, which makes up to a factor of two.
    struct Part {
        uint64_t next = 0, end = 0; // bytes from the element's start
    } parts[2];

    // One for the rest that nobody took yet, one for each slice being copied. Whoever brings it to
    // zero hands the span back.
    std::atomic<uint32_t> pending{0};
    std::atomic<bool> cancelled{false};

    uint64_t completed_ns = 0;
    Span* next_finished = nullptr;
};

/// Some whole elements, or a part of one.
struct Slice {
    Span* span = nullptr;
    sdk::OpCursor cursor;
    uint64_t elements = 0;    // 0: a part of the cursor's element
    uint64_t part_offset = 0; // bytes
    uint64_t bytes = 0;
};

/// About how many bytes a slice has: the taker's share of what is left, within these.
struct SliceLimits {
    uint64_t least = 0;
    uint64_t most = 0;
};

/// Takes the next slice. The span must have a rest. Caller holds the claim lock. An element whose
/// source and target overlap is never cut, since its parts depend on each other.
Slice take_slice(Span* span, SliceLimits limits, Taker taker) noexcept;

/// Whether the next slice will be much longer than the limits say (an overlapping element).
bool next_slice_is_long(const Span& span, SliceLimits limits) noexcept;

/// Copies it; everything is visible to who sees `pending` fall afterwards.
void copy_slice(const Slice& slice) noexcept;

/// The entries of a finished span: everything, or a prefix and a cancelled rest. Returns 1 or 2.
uint32_t completions_of(const Span& span, nixl_completion out[2]) noexcept;

} // namespace nixl::core
