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

/// Slices are taken in order, so that what has been taken is always a prefix: a cancelled span is a
/// finished prefix and a rest that nobody touched.
struct Span {
    // Written by the driver before the span is published.
    uint64_t tag = 0;
    uint64_t first_element = 0;
    uint64_t element_count = 0;
    StreamFunction stream = nullptr; // null: through the cache
    uint64_t bytes = 0;              // at least; a long list is not added up to its end
    uint32_t sharers = 1;            // threads that are expected to take slices
    bool in_flight = false;          // the driver's own mark

    // Guarded by the queue's claim lock until the last slice is finished.
    sdk::OpCursor cursor;          // the next element to take ...
    uint64_t taken_of_element = 0; // ... and how many of its bytes are taken already
    uint64_t taken_bytes = 0;

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

/// Takes the next slice of about `slice_bytes`. The span must have a rest. Caller holds the claim
/// lock. An element whose source and target overlap is never cut, since its parts depend on each
/// other.
Slice take_slice(Span* span, uint64_t slice_bytes) noexcept;

/// Whether the next slice will be much longer than slice_bytes (an overlapping element).
bool next_slice_is_long(const Span& span, uint64_t slice_bytes) noexcept;

/// Copies it; everything is visible to who sees `pending` fall afterwards.
void copy_slice(const Slice& slice) noexcept;

/// The entries of a finished span: everything, or a prefix and a cancelled rest. Returns 1 or 2.
uint32_t completions_of(const Span& span, nixl_completion out[2]) noexcept;

} // namespace nixl::core
