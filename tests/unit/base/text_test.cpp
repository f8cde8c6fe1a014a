// SPDX-License-Identifier: Apache-2.0
// Text of people into values: what is accepted, what is refused and in which words.
#include <gtest/gtest.h>

#include "base/text.h"

namespace nixl::core {
namespace {

constexpr uint64_t KB = 1024, MB = 1024 * KB, GB = 1024 * MB, TB = 1024 * GB;

uint64_t size_of(std::string_view text) {
    const auto parsed = parse_size(text);
    EXPECT_TRUE(parsed.ok()) << text << ": " << (parsed.ok() ? "" : parsed.error().message);
    return parsed.ok() ? parsed.value() : ~uint64_t{0};
}

Code size_error(std::string_view text) {
    const auto parsed = parse_size(text);
    return parsed.ok() ? Code::OK : parsed.error().code;
}

// Proves: S-025 C-19
TEST(ParseSize, EveryUnitInAnyCase_countsIn1024) {
    EXPECT_EQ(size_of("0"), 0u);
    EXPECT_EQ(size_of("7"), 7u);
    EXPECT_EQ(size_of("7B"), 7u);
    for (const char* text : {"64K", "64k", "64KB", "64kb", "64KiB", "64kib", " 64 KB "})
        EXPECT_EQ(size_of(text), 64 * KB) << text;
    for (const char* text : {"4M", "4MB", "4mb", "4MiB", "4 MB", "4\tmib"})
        EXPECT_EQ(size_of(text), 4 * MB) << text;
    for (const char* text : {"1G", "1GB", "1gB", "1GiB"})
        EXPECT_EQ(size_of(text), GB) << text;
    for (const char* text : {"2T", "2TB", "2tib"})
        EXPECT_EQ(size_of(text), 2 * TB) << text;
}

// Proves: S-025
TEST(ParseSize, Fractions_areRoundedDownToWholeBytes) {
    EXPECT_EQ(size_of("1.5GB"), GB + GB / 2);
    EXPECT_EQ(size_of(".5K"), 512u);
    EXPECT_EQ(size_of("2.K"), 2 * KB);
    EXPECT_EQ(size_of("0.1K"), 102u);
    EXPECT_EQ(size_of("1.99999999999999999999K"), 2 * KB - 1);
    EXPECT_EQ(size_of("1.00000000000000000000000000001M"), MB);
}

// Proves: S-025
TEST(ParseSize, WhatIsNoSize_isRefusedWithTheAcceptedForm) {
    for (const char* text : {"", " ", "-1", "-4MB", "+4MB", "4XB", "MB", "4MBs", "4 M B", "1.5",
                             "1.5B", ".", "4,5MB", "0x10", "1e3", "4KiBB", "nan", "4PB"})
        EXPECT_EQ(size_error(text), Code::INVALID_ARGUMENT) << text;

    const auto parsed = parse_size("4XB");

    ASSERT_FALSE(parsed.ok());
    EXPECT_NE(parsed.error().message.find("\"4XB\""), std::string::npos);
    EXPECT_NE(parsed.error().hint.find("MiB"), std::string::npos);
}

// Proves: S-025
TEST(ParseSize, BeyondSixtyFourBits_isOutOfRange) {
    EXPECT_EQ(size_of("18446744073709551615"), UINT64_MAX);
    EXPECT_EQ(size_error("18446744073709551616"), Code::OUT_OF_RANGE);
    EXPECT_EQ(size_error("99999999999999999999999999"), Code::OUT_OF_RANGE);
    EXPECT_EQ(size_error("99999999TB"), Code::OUT_OF_RANGE);
    EXPECT_EQ(size_of("16777215TB"), 16777215 * TB);
    EXPECT_EQ(size_of("16777215.5TB"), 16777215 * TB + TB / 2);
    EXPECT_EQ(size_error("16777216TB"), Code::OUT_OF_RANGE);
}

// Proves: C-19
TEST(FormatSize, WhatWasWritten_isPrintedInTheSameConvention) {
    EXPECT_EQ(format_size(0), "0 B");
    EXPECT_EQ(format_size(1023), "1023 B");
    EXPECT_EQ(format_size(1024), "1.00 KB");
    EXPECT_EQ(format_size(size_of("1GB")), "1.00 GB");
    EXPECT_EQ(format_size(size_of("1.5GB")), "1.50 GB");
    EXPECT_EQ(format_size(1024 * 1024 - 1), "1.00 MB");
    EXPECT_EQ(format_size(4'000'000), "3.81 MB");
    EXPECT_EQ(format_size(UINT64_MAX), "16.00 EB");
}

TEST(ParseDuration, EveryUnit_becomesNanoseconds) {
    const auto ns = [](std::string_view text) { return parse_duration(text).value(); };

    EXPECT_EQ(ns("10s"), 10'000'000'000u);
    EXPECT_EQ(ns("10"), 10'000'000'000u);
    EXPECT_EQ(ns("0.5"), 500'000'000u);
    EXPECT_EQ(ns("250ms"), 250'000'000u);
    EXPECT_EQ(ns("5us"), 5'000u);
    EXPECT_EQ(ns("0.3us"), 300u);
    EXPECT_EQ(ns("100 ns"), 100u);
    EXPECT_EQ(ns("1.5m"), 90'000'000'000u);
    EXPECT_EQ(ns("2H"), 7'200'000'000'000u);
    EXPECT_EQ(ns("0"), 0u);
}

TEST(ParseDuration, WhatIsNoDuration_isRefused) {
    for (const char* text : {"", "-1s", "s", "5 parsecs", "1d", "1.5ns", "5s5"})
        EXPECT_EQ(parse_duration(text).error().code, Code::INVALID_ARGUMENT) << text;
    EXPECT_EQ(parse_duration("99999999999999h").error().code, Code::OUT_OF_RANGE);
}

// Proves: S-024
TEST(ParseBool, EverySpellingInAnyCase_isUnderstood) {
    for (const char* text :
         {"true", "TRUE", "True", "1", "yes", "Yes", "on", "ON", "enable", " on "})
        EXPECT_TRUE(parse_bool(text).value()) << text;
    for (const char* text : {"false", "FALSE", "0", "no", "NO", "off", "Off", "disable", "DISABLE"})
        EXPECT_FALSE(parse_bool(text).value()) << text;
}

// Proves: S-024
TEST(ParseBool, AnythingElse_isAnErrorAndNotFalse) {
    for (const char* text : {"maybe", "", "2", "-1", "t", "truefalse"}) {
        const auto parsed = parse_bool(text);
        ASSERT_FALSE(parsed.ok()) << text;
        EXPECT_EQ(parsed.error().code, Code::INVALID_ARGUMENT);
        EXPECT_NE(parsed.error().hint.find("true/false"), std::string::npos);
    }
}

TEST(ParseInteger, DigitsAlone_areAccepted) {
    EXPECT_EQ(parse_integer("0").value(), 0u);
    EXPECT_EQ(parse_integer(" 16 ").value(), 16u);
    EXPECT_EQ(parse_integer("18446744073709551615").value(), UINT64_MAX);
    EXPECT_EQ(parse_integer("18446744073709551616").error().code, Code::OUT_OF_RANGE);
    for (const char* text : {"", "-1", "1.0", "1K", "0x1", "one", "1 2"})
        EXPECT_EQ(parse_integer(text).error().code, Code::INVALID_ARGUMENT) << text;
}

// Proves: S-026
TEST(ClosestName, Misspelling_findsTheNameThatWasMeant) {
    constexpr std::string_view known[] = {"NIXL_BACKEND", "NIXL_BUFFER_SIZE", "NIXL_POOL_SIZE"};

    EXPECT_EQ(closest_name("NIXL_BACKND", known), "NIXL_BACKEND");
    EXPECT_EQ(closest_name("NIXL_BACKEDN", known), "NIXL_BACKEND");
    EXPECT_EQ(closest_name("nixl_pool_sise", known), "NIXL_POOL_SIZE");
    EXPECT_EQ(closest_name("NIXL_BACKEND", known), "NIXL_BACKEND");
}

TEST(ClosestName, NothingNear_isEmpty) {
    constexpr std::string_view known[] = {"chunk_size", "lanes"};

    EXPECT_EQ(closest_name("compression", known), "");
    EXPECT_EQ(closest_name("", known), "");
    EXPECT_EQ(closest_name(std::string(100'000, 'x'), known), "");
    EXPECT_EQ(closest_name("lanes", {}), "");
}

TEST(Split, BlanksAndEmptyParts_areDropped) {
    const std::vector<std::string_view> parts = split(" a, b ,,c d,", ',');

    EXPECT_EQ(parts, (std::vector<std::string_view>{"a", "b", "c d"}));
    EXPECT_TRUE(split("", ',').empty());
    EXPECT_TRUE(split(" , ,", ',').empty());
    EXPECT_EQ(split("one", ',').size(), 1u);
}

TEST(Case, AsciiLetters_areComparedWithoutIt) {
    EXPECT_TRUE(equals_ignoring_case("GDS_mt", "gds_MT"));
    EXPECT_FALSE(equals_ignoring_case("gds", "gds_mt"));
    EXPECT_EQ(to_lower("GDS_MT"), "gds_mt");
}

} // namespace
} // namespace nixl::core
