// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "common/latencies.h"

namespace nixl::tools {
namespace {

constexpr double EXACTNESS = 0.004;

/// The definition of percentile_ns(), by sorting.
double sorted_percentile(std::vector<uint64_t> values, double fraction) {
    std::sort(values.begin(), values.end());
    const auto rank = static_cast<size_t>(std::ceil(fraction * static_cast<double>(values.size())));
    return static_cast<double>(values[std::max<size_t>(rank, 1) - 1]);
}

// Proves: S-189
TEST(Latencies, Percentiles_agreeWithSorting) {
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    std::lognormal_distribution<double> distribution(8, 2);
    std::vector<uint64_t> values(10'000);
    Latencies latencies;
    for (uint64_t& value : values) {
        value = static_cast<uint64_t>(distribution(random));
        latencies.add(value);
    }

    for (const double fraction : {0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
        const double expected = sorted_percentile(values, fraction);
        EXPECT_NEAR(latencies.percentile_ns(fraction), expected, expected * EXACTNESS + 0.5);
    }
}

TEST(Latencies, MeanAndDeviation_areThoseOfThePopulation) {
    Latencies latencies;
    for (const uint64_t ns : {2u, 4u, 4u, 4u, 5u, 5u, 7u, 9u})
        latencies.add(ns);

    EXPECT_DOUBLE_EQ(latencies.mean_ns(), 5);
    EXPECT_DOUBLE_EQ(latencies.deviation_ns(), 2);
    EXPECT_DOUBLE_EQ(latencies.variation(), 0.4);
    EXPECT_DOUBLE_EQ(latencies.min_ns(), 2);
    EXPECT_DOUBLE_EQ(latencies.max_ns(), 9);
}

TEST(Latencies, NoSample_isZeroAndOneSampleDeviatesByNothing) {
    Latencies latencies;
    EXPECT_EQ(latencies.mean_ns() + latencies.min_ns() + latencies.max_ns(), 0);
    EXPECT_EQ(latencies.percentile_ns(0.5) + latencies.variation(), 0);
    EXPECT_TRUE(latencies.histogram().empty());

    latencies.add(1234);
    EXPECT_EQ(latencies.deviation_ns(), 0);
    EXPECT_EQ(latencies.percentile_ns(0.999), 1234);
}

TEST(Latencies, Extremes_doNotLeaveTheTable) {
    Latencies latencies;
    for (const uint64_t ns :
         {uint64_t{0}, uint64_t{1}, uint64_t{255}, uint64_t{256}, UINT64_MAX / 4})
        latencies.add(ns);

    uint64_t counted = 0;
    for (const Latencies::Bucket& bucket : latencies.histogram())
        counted += bucket.count;
    EXPECT_EQ(counted, 5u);
    EXPECT_EQ(latencies.percentile_ns(0), 0);
    EXPECT_EQ(latencies.percentile_ns(1), latencies.max_ns());
}

TEST(Latencies, LargeEqualValues_doNotDeviate) {
    Latencies latencies;
    for (int i = 0; i < 1000; ++i)
        latencies.add(100'000'000'001); // squares of these do not fit a double's digits

    EXPECT_EQ(latencies.deviation_ns(), 0);
}

} // namespace
} // namespace nixl::tools
