// SPDX-License-Identifier: Apache-2.0
#include "common/rating.h"

#include "common/text.h"
#include "common/units.h"

namespace nixl::tools {

namespace {

constexpr double EXCELLENT_BYTES_PER_NS = 40, GOOD_BYTES_PER_NS = 20;
constexpr double EXCELLENT_SHARE = 0.90, GOOD_SHARE = 0.70;

Grade grade_of(double value, double excellent, double good) {
    return value > excellent ? Grade::EXCELLENT : value >= good ? Grade::GOOD : Grade::POOR;
}

} // namespace

Rating rate(const RatedRun& run) {
    Rating rating;
    if (run.simulated) {
        rating.reason = "the path is simulated; its rate says nothing about hardware";
        return rating;
    }
    if (run.between_cpu_and_gpu) {
        rating.grade = grade_of(run.bytes_per_ns, EXCELLENT_BYTES_PER_NS, GOOD_BYTES_PER_NS);
        rating.reason = rating.grade == Grade::EXCELLENT ? "more than 40 GB/s between CPU and GPU"
                        : rating.grade == Grade::GOOD    ? "20 to 40 GB/s between CPU and GPU"
                                                         : "less than 20 GB/s between CPU and GPU: "
                                                           "check the configuration, it may be on "
                                                           "a slower path (nixl-info --check)";
    } else if (run.raw_median_ns > 0 && run.median_ns > 0) {
        rating.grade = grade_of((run.raw_median_ns + ALLOWED_START_NS) / run.median_ns,
                                EXCELLENT_SHARE, GOOD_SHARE);
        rating.reason =
            format("%.0f %% of ", run.raw_median_ns / run.median_ns * 100) + run.raw_name;
        if (const double above_ns = run.median_ns - run.raw_median_ns;
            above_ns > 0 && above_ns < 1000)
            rating.reason += ", " + format_time(above_ns) + " above it";
        if (rating.grade == Grade::POOR)
            rating.reason += "; check the path above and nixl-info --check";
    } else {
        rating.reason = "there is no baseline to compare with";
        return rating;
    }
    if (run.variation > HIGH_VARIATION)
        rating.reason += format("; latencies vary by %.0f %%, which hints at contention or "
                                "thermal throttling",
                                run.variation * 100);
    return rating;
}

const char* grade_name(Grade grade) {
    constexpr const char* NAMES[] = {"excellent", "good", "poor", "none"};
    return NAMES[static_cast<int>(grade)];
}

} // namespace nixl::tools
