// SPDX-License-Identifier: Apache-2.0
// Checking, finding and cutting runs.
#include "transfer/runs.h"

#include <random>

#include <gtest/gtest.h>

namespace nixl::core {
namespace {

constexpr uint64_t HUGE = UINT64_MAX;

nixl_run make_run(uint64_t source, uint64_t target, uint64_t bytes, int64_t stride = 0,
                  uint64_t count = 1) {
    return {source, target, bytes, stride, stride, count, 0, 0};
}

RunCheck check(const std::vector<nixl_run>& runs, uint64_t bytes = 4096) {
    const PairSizes sizes{bytes, bytes};
    return check_runs(runs, std::span(&sizes, 1));
}

// Proves: S-096
TEST(Runs, NumbersNearTheTopOf64Bits_areOutOfRange) {
    const std::vector<nixl_run> bad = {
        make_run(HUGE, 0, 1),
        make_run(0, HUGE, 1),
        make_run(0, 0, HUGE),
        make_run(1, 1, HUGE),
        make_run(HUGE / 2 + 1, 0, 1),
        make_run(0, HUGE / 2 + 1, 1),
        make_run(0, 0, HUGE / 2 + 1),
        make_run(HUGE - 4, 0, 10),
        make_run(HUGE - 4095, 0, 4096),
        make_run(0, 0, 1, INT64_MAX, 3),
        make_run(0, 0, 1, INT64_MIN, 2),
        make_run(4000, 4000, 1, -4001, 2),
        make_run(0, 0, 1, 1, HUGE),
        make_run(0, 0, 4096, 0, HUGE),
        make_run(0, 0, 4097),
        make_run(1, 0, 4096),
    };
    for (size_t i = 0; i < bad.size(); ++i)
        EXPECT_EQ(check({bad[i]}).code, Code::OUT_OF_RANGE) << "case " << i;
}

TEST(Runs, EdgesOfTheBuffer_areInRange) {
    EXPECT_EQ(check({make_run(0, 0, 4096)}).code, Code::OK);
    EXPECT_EQ(check({make_run(4095, 4095, 1)}).code, Code::OK);
    EXPECT_EQ(check({make_run(0, 0, 1, 4095, 2)}).code, Code::OK);
    EXPECT_EQ(check({make_run(4095, 4095, 1, -4095, 2)}).code, Code::OK);
    EXPECT_EQ(check({make_run(0, 0, 1, 0, 1'000'000)}).code, Code::OK); // the same byte again
}

TEST(Runs, EmptyElementsAndUnknownPairs_areInvalid) {
    EXPECT_EQ(check({make_run(0, 0, 0)}).code, Code::INVALID_ARGUMENT);
    EXPECT_EQ(check({make_run(0, 0, 1, 1, 0)}).code, Code::INVALID_ARGUMENT);
    nixl_run other = make_run(0, 0, 1);
    other.pair = 1;
    EXPECT_EQ(check({other}).code, Code::INVALID_ARGUMENT);
}

TEST(Runs, BadRun_isNamedWithItsSide) {
    const RunCheck found = check({make_run(0, 0, 1), make_run(0, 4096, 1)});

    EXPECT_EQ(found.code, Code::OUT_OF_RANGE);
    EXPECT_EQ(found.bad_run, 1u);
    EXPECT_FALSE(found.bad_source);
}

RunView view_of(const std::vector<nixl_run>& runs, std::vector<uint64_t>& firsts) {
    const RunCheck found = check(runs, 1u << 30);
    firsts = count_first_elements(runs);
    return {runs.data(), runs.size(), found.elements, found.bytes, found.shape, firsts.data()};
}

TEST(Runs, FindAndAdvance_agreeWithCountingOneByOne) {
    std::mt19937 random(7);
    for (int round = 0; round < 50; ++round) {
        std::vector<nixl_run> runs;
        const size_t count = 1 + random() % 20;
        for (size_t i = 0; i < count; ++i)
            runs.push_back(make_run(i * 1000, i * 1000, 8, 8, 1 + random() % 5));
        std::vector<uint64_t> firsts;
        const RunView view = view_of(runs, firsts);
        uint64_t element = 0;
        for (uint64_t run = 0; run < runs.size(); ++run) {
            for (uint64_t k = 0; k < runs[run].count; ++k, ++element) {
                const RunPosition found = find_element(view, element);
                EXPECT_EQ(found.run, run);
                EXPECT_EQ(found.in_run, k);
                const RunPosition reached = advance(view, {0, 0}, element);
                EXPECT_EQ(reached.run, run);
                EXPECT_EQ(reached.in_run, k);
            }
        }
        EXPECT_EQ(element, view.elements);
        EXPECT_EQ(advance(view, {0, 0}, element).run, runs.size());
    }
}

TEST(Runs, LongElementsWithoutEnd_areRefusedBeforeAnythingIsWritten) {
    std::vector<nixl_run> cut;
    std::vector<uint64_t> origins;
    for (const uint64_t count : {MAX_SPLIT_RUNS + 1, uint64_t{1} << 40, UINT64_MAX / 512}) {
        const std::vector<nixl_run> runs = {make_run(0, 0, 512, 0, count)};
        EXPECT_FALSE(split_long_elements(runs, 256, cut, origins)) << count;
        EXPECT_TRUE(cut.empty());
    }
}

TEST(Runs, LongElements_areCutIntoTheSameBytes) {
    const std::vector<nixl_run> runs = {make_run(10, 20, 1000, 2000, 3), make_run(9000, 9500, 64),
                                        make_run(0, 0, 300)};
    std::vector<nixl_run> cut;
    std::vector<uint64_t> origins;

    ASSERT_TRUE(split_long_elements(runs, 256, cut, origins));

    std::vector<std::pair<uint64_t, uint64_t>> wanted, got; // every byte's source and target
    const auto bytes_of = [](const nixl_run& run, auto& out) {
        for (uint64_t k = 0; k < run.count; ++k) {
            const nixl_run one = element_of(run, k, 0);
            for (uint64_t b = 0; b < one.bytes; ++b)
                out.emplace_back(one.source_offset + b, one.target_offset + b);
        }
    };
    for (const nixl_run& run : runs)
        bytes_of(run, wanted);
    for (const nixl_run& run : cut) {
        EXPECT_LE(run.bytes, 256u);
        bytes_of(run, got);
    }
    EXPECT_EQ(got, wanted);
    ASSERT_EQ(cut.size(), origins.size());
    EXPECT_EQ(origins.front(), 0u);
    EXPECT_EQ(origins.back(), 4u); // the fifth element of the user
}

} // namespace
} // namespace nixl::core
