// SPDX-License-Identifier: Apache-2.0
// Says whether a measured rate is good, and why it may not be. Judged by what the path can do;
// fixed limits apply only between CPU and GPU of one machine.
#pragma once

#include <string>

namespace nixl::tools {

struct RatedRun {
    double bytes_per_ns = 0;
    bool between_cpu_and_gpu = false;
    double median_ns = 0;
    double raw_median_ns = 0; ///< of the raw baseline; 0: there was none
    std::string raw_name;     ///< "memcpy with 2 threads"
    double variation = 0;     ///< standard deviation over mean
    bool simulated = false;
};

enum class Grade { EXCELLENT, GOOD, POOR, NONE };

struct Rating {
    Grade grade = Grade::NONE;
    std::string reason;
};

/// What starting a transfer may cost beside the raw call, which counts for small sizes only.
constexpr double ALLOWED_START_NS = 100;

/// Deviations above this share of the mean are worth a warning.
constexpr double HIGH_VARIATION = 0.10;

[[nodiscard]] Rating rate(const RatedRun& run);
[[nodiscard]] const char* grade_name(Grade grade); ///< "excellent"

} // namespace nixl::tools
