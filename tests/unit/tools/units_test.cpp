// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "common/failure.h"
#include "common/units.h"

namespace nixl::tools {
namespace {

ExitCode refusal(const char* text) {
    try {
        (void)parse_sizes(text, SizeUnits::BINARY);
    } catch (const Failure& failure) {
        return failure.code();
    }
    return EXIT_OK;
}

// Proves: C-19 S-179
TEST(Sizes, Units_count1024UnlessDecimal) {
    EXPECT_EQ(parse_size("1GB"), 1073741824u);
    EXPECT_EQ(parse_size("1GB", SizeUnits::DECIMAL), 1000000000u);
    EXPECT_EQ(parse_size("1GiB", SizeUnits::DECIMAL), 1073741824u);
    EXPECT_EQ(parse_size("1.5K"), 1536u);
    EXPECT_EQ(parse_size(" 4 kb "), 4096u);
    EXPECT_EQ(parse_size("7"), 7u);
    EXPECT_EQ(parse_size("7B"), 7u);
}

// Proves: S-179
TEST(Sizes, WrongOnes_areWrongUsage) {
    for (const char* text : {"", "x", "1X", "1KBB", "-1", "1..", "..4K", "8K..4K", "0", "0..4",
                             "1.3", "4K,,8K", "99999999999TB", "1e3", "0x10", "1.2.3", "nan"})
        EXPECT_EQ(refusal(text), EXIT_USAGE) << text;
}

// Proves: S-179
TEST(Sizes, Sweep_doublesUpToItsEnd) {
    const auto sizes = parse_sizes("4K..20K,3", SizeUnits::BINARY);

    ASSERT_EQ(sizes.size(), 4u);
    EXPECT_EQ(sizes[0].text, "4K");
    EXPECT_EQ(sizes[2].bytes, 16384u);
    EXPECT_EQ(sizes[3].bytes, 3u);
    EXPECT_EQ(parse_sizes("5..5", SizeUnits::BINARY).size(), 1u);
}

// Proves: S-177
TEST(Formats, SizesTimesAndRates_switchUnits) {
    EXPECT_EQ(format_size(1073741824), "1.00 GB");
    EXPECT_EQ(format_size(1073741823), "1.00 GB");
    EXPECT_EQ(format_size(1023), "1023.00 B");
    EXPECT_EQ(format_size(1000000000, SizeUnits::DECIMAL), "1.00 GB");
    EXPECT_EQ(format_time(22.1e6), "22.1 ms");
    EXPECT_EQ(format_time(12.3e3), "12.3 us");
    EXPECT_EQ(format_time(999.94), "999.9 ns");
    EXPECT_EQ(format_time(999.96), "1.0 us");
    EXPECT_EQ(format_time(0), "0.0 ns");
    EXPECT_EQ(format_time(1.5e9), "1.5 s");
    EXPECT_EQ(format_rate(45.2), "45.2 GB/s");
    EXPECT_EQ(format_rate(0.0034), "3.4 MB/s");
    EXPECT_EQ(format_rate(0), "0.0 KB/s");
}

TEST(Durations, UnitsAndRefusals) {
    EXPECT_EQ(parse_duration_ns("2"), 2'000'000'000u);
    EXPECT_EQ(parse_duration_ns("500ms"), 500'000'000u);
    EXPECT_EQ(parse_duration_ns("1m"), 60'000'000'000u);
    for (const char* text : {"", "0", "0s", "-1s", "5 parsecs", "99999999999s"})
        EXPECT_THROW((void)parse_duration_ns(text), Failure) << text;
}

} // namespace
} // namespace nixl::tools
