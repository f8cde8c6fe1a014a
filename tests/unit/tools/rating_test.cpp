// SPDX-License-Identifier: Apache-2.0
// When a measured rate is called good.
#include <gtest/gtest.h>

#include "common/rating.h"

namespace nixl::tools {
namespace {

RatedRun against_raw(double raw_median_ns, double median_ns) {
    RatedRun run;
    run.median_ns = median_ns;
    run.raw_median_ns = raw_median_ns;
    run.raw_name = "memcpy";
    return run;
}

RatedRun with_gpu(double bytes_per_ns) {
    RatedRun run;
    run.between_cpu_and_gpu = true;
    run.bytes_per_ns = bytes_per_ns;
    return run;
}

// Proves: C-36 C-37 S-190
TEST(Rating, Grade_followsTheTable) {
    const struct {
        RatedRun run;
        Grade grade;
    } TABLE[] = {
        {with_gpu(45.2), Grade::EXCELLENT},
        {with_gpu(40.1), Grade::EXCELLENT},
        {with_gpu(40.0), Grade::GOOD},
        {with_gpu(20.0), Grade::GOOD},
        {with_gpu(19.9), Grade::POOR},
        {against_raw(1e9, 1e9), Grade::EXCELLENT},
        {against_raw(0.91e9, 1e9), Grade::EXCELLENT},
        {against_raw(0.89e9, 1e9), Grade::GOOD},
        {against_raw(0.71e9, 1e9), Grade::GOOD},
        {against_raw(0.69e9, 1e9), Grade::POOR},
        {against_raw(20, 119), Grade::EXCELLENT},
        {against_raw(20, 300), Grade::POOR},
        {against_raw(0, 1e9), Grade::NONE},
    };
    for (const auto& row : TABLE) {
        const Rating rating = rate(row.run);
        EXPECT_EQ(rating.grade, row.grade) << rating.reason;
        EXPECT_FALSE(rating.reason.empty());
    }
}

// Proves: C-36
TEST(Rating, SlowLinkAtItsLimit_isNotCalledMisconfigured) {
    RatedRun run = against_raw(1e9, 1e9);
    run.bytes_per_ns = 12; // far below what is excellent between CPU and GPU

    EXPECT_EQ(rate(run).grade, Grade::EXCELLENT);
}

// Proves: S-190
TEST(Rating, HighVariation_namesTheLikelyCause) {
    RatedRun run = against_raw(1e6, 1e6);
    run.variation = 0.11;
    EXPECT_NE(rate(run).reason.find("contention or thermal throttling"), std::string::npos);

    run.variation = 0.10;
    EXPECT_EQ(rate(run).reason.find("contention"), std::string::npos);
}

TEST(Rating, SimulatedPath_isNotRated) {
    RatedRun run = with_gpu(100);
    run.simulated = true;

    EXPECT_EQ(rate(run).grade, Grade::NONE);
}

} // namespace
} // namespace nixl::tools
