// SPDX-License-Identifier: Apache-2.0
// HOT
// Lists of strided runs: checking them against their buffers, finding the run of an element, and
// cutting elements that are too long for a backend.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include <nixl/types.h>

#include "base/status.h"

namespace nixl::core {

/// How elements map to runs; decides how fast the run of an element is found.
enum class RunShape : uint8_t {
    ONE,  ///< one run
    FLAT, ///< every run has one element
    MIXED
};

/// A view on runs with what was counted once. Does not own.
struct RunView {
    const nixl_run* runs = nullptr;
    uint64_t run_count = 0;
    uint64_t elements = 0;
    uint64_t bytes = 0;
    RunShape shape = RunShape::ONE;
    const uint64_t* first_elements = nullptr; ///< MIXED: number of each run's first element
};

/// Where an element lies.
struct RunPosition {
    uint64_t run = 0;
    uint64_t in_run = 0;
};

[[nodiscard]] RunPosition find_element(const RunView& view, uint64_t element) noexcept;

/// Moves on by `elements` elements; the result may be one past the end.
[[nodiscard]] RunPosition advance(const RunView& view, RunPosition from,
                                  uint64_t elements) noexcept;

/// One element as a run of its own, without its first `skip` bytes.
[[nodiscard]] inline nixl_run element_of(const nixl_run& run, uint64_t in_run,
                                         uint64_t skip) noexcept {
    nixl_run one = run;
    // Wraps as two's complement; the range was checked when the run was.
    one.source_offset += in_run * static_cast<uint64_t>(run.source_stride) + skip;
    one.target_offset += in_run * static_cast<uint64_t>(run.target_stride) + skip;
    one.bytes -= skip;
    one.count = 1;
    return one;
}

/// What check_runs() found; on failure which run, and on which side.
struct RunCheck {
    Code code = Code::OK;
    uint64_t bad_run = 0;
    bool bad_source = false;
    uint64_t elements = 0;
    uint64_t bytes = 0;
    uint64_t longest = 0; ///< bytes of the longest element
    RunShape shape = RunShape::ONE;
};

/// What single elements of the first pair come to, added up without a branch each: what is wrong
/// with one leaves a sign, or a bit, or is the farthest. It tells that all fit, not which does not.
struct Singles {
    uint64_t signs = 0;  ///< bit 63: some number passes 2^63, or is a length of 0
    uint64_t others = 0; ///< not 0: some run is not a single element, or of another pair
    uint64_t source_end = 0, target_end = 0;
    uint64_t longest = 0, bytes = 0, count = 0;

    void add(uint64_t source_offset, uint64_t target_offset, uint64_t length) noexcept {
        signs |= source_offset | target_offset | length | (length - 1);
        source_end = std::max(source_end, source_offset + length);
        target_end = std::max(target_end, target_offset + length);
        longest = std::max(longest, length);
        bytes += length;
        ++count;
    }
};

struct PairSizes {
    uint64_t source_bytes;
    uint64_t target_bytes;
};

/// Every run against the sizes of its pair. Nothing wraps, whatever the numbers are. `singles`: of
/// these runs, where the caller has added them up.
[[nodiscard]] RunCheck check_runs(std::span<const nixl_run> runs, std::span<const PairSizes> pairs,
                                  const Singles* singles = nullptr) noexcept;

/// Runs that split_long_elements() makes at most.
inline constexpr uint64_t MAX_SPLIT_RUNS = 1u << 24;

/// The same elements with none longer than `max_bytes`. `origins` gets, per new run, the number of
/// the first user element it belongs to. False when that takes more than MAX_SPLIT_RUNS.
[[nodiscard]] bool split_long_elements(std::span<const nixl_run> runs, uint64_t max_bytes,
                                       std::vector<nixl_run>& out, std::vector<uint64_t>& origins);

/// first_elements of a MIXED list.
[[nodiscard]] std::vector<uint64_t> count_first_elements(std::span<const nixl_run> runs);

} // namespace nixl::core
