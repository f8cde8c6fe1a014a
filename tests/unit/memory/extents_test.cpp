// SPDX-License-Identifier: Apache-2.0
// Extents: what is taken lies within the range, aligned, and overlaps nothing; what is given back
// joins again; a range that is kept nearly full does not fall to pieces.
#include "memory/extents.h"

#include <cmath>
#include <map>
#include <random>

#include <gtest/gtest.h>

namespace nixl::core {
namespace {

constexpr uint64_t UNIT = Extents::UNIT_BYTES;
constexpr uint64_t BASE = 0x7000'0000'1000;

TEST(Extents, WholeRange_isOnePiece) {
    Extents extents(BASE, 10 * UNIT + 200);
    EXPECT_EQ(extents.bytes(), 10 * UNIT);
    EXPECT_EQ(extents.largest_free_bytes(), 10 * UNIT);
    const auto all = extents.take(10 * UNIT, 1);
    ASSERT_TRUE(all);
    EXPECT_EQ(all->address, BASE);
    EXPECT_EQ(extents.largest_free_bytes(), 0u);
    EXPECT_FALSE(extents.take(1, 1));
    extents.give(all->number);
    EXPECT_TRUE(extents.take(10 * UNIT, 1));
}

TEST(Extents, BelowAUnit_hasNothing) {
    Extents extents(BASE, UNIT - 1);
    EXPECT_FALSE(extents.take(1, 1));
    EXPECT_EQ(extents.largest_free_bytes(), 0u);
}

TEST(Extents, HugeSizesAndAlignments_areRefused) {
    Extents extents(BASE, 16 * UNIT);
    EXPECT_FALSE(extents.take(UINT64_MAX, 1));
    EXPECT_FALSE(extents.take(1, uint64_t{1} << 63));
    EXPECT_FALSE(extents.take(16 * UNIT + 1, 1));
    EXPECT_EQ(extents.used_bytes(), 0u);
}

TEST(Extents, AlignedOnes_leaveTheGapUsable) {
    Extents extents(BASE, 64 * UNIT); // BASE is aligned to 16 units
    const auto first = extents.take(1, 1);
    const auto aligned = extents.take(UNIT, 16 * UNIT);
    ASSERT_TRUE(first && aligned);
    EXPECT_EQ(aligned->address % (16 * UNIT), 0u);
    EXPECT_EQ(aligned->address, BASE + 16 * UNIT);
    const auto gap = extents.take(15 * UNIT, 1);
    ASSERT_TRUE(gap);
    EXPECT_EQ(gap->address, BASE + UNIT);
    for (const auto& extent : {first, aligned, gap})
        extents.give(extent->number);
    EXPECT_EQ(extents.largest_free_bytes(), 64 * UNIT);
}

TEST(Extents, OneThatFitsOnlyWhereItBeginsWell_isFound) {
    Extents extents(BASE, 17 * UNIT);
    const auto first = extents.take(UNIT, 1);
    ASSERT_TRUE(first);
    // 16 units are left, and the last of them begins well.
    const auto aligned = extents.take(UNIT, 16 * UNIT);
    ASSERT_TRUE(aligned);
    EXPECT_EQ(aligned->address, BASE + 16 * UNIT);
}

/// Takes and gives at random and looks at every extent against a map of those that are out.
TEST(Extents, RandomCalls_neverOverlap) {
    std::mt19937_64 random(20260717);
    for (int round = 0; round < 20; ++round) {
        Extents extents(BASE, (1 + random() % 4000) * UNIT);
        std::map<uint64_t, Extents::Extent> out;
        uint64_t used = 0;
        for (int i = 0; i < 4000; ++i) {
            if (random() % 100 < 55) {
                const uint64_t alignment = uint64_t{1} << random() % 14;
                const auto extent = extents.take(1 + random() % (200 * UNIT), alignment);
                if (!extent)
                    continue;
                ASSERT_EQ(extent->address % alignment, 0u);
                ASSERT_GE(extent->address, BASE);
                ASSERT_LE(extent->address + extent->bytes, BASE + extents.bytes());
                const auto next = out.lower_bound(extent->address);
                ASSERT_TRUE(next == out.end() || extent->address + extent->bytes <= next->first);
                ASSERT_TRUE(next == out.begin() ||
                            std::prev(next)->first + std::prev(next)->second.bytes <=
                                extent->address);
                used += extent->bytes;
                out.emplace(extent->address, *extent);
            } else if (!out.empty()) {
                const auto victim =
                    std::next(out.begin(), static_cast<long>(random() % out.size()));
                used -= victim->second.bytes;
                extents.give(victim->second.number);
                out.erase(victim);
            }
            ASSERT_EQ(extents.used_bytes(), used);
        }
        for (const auto& [address, extent] : out)
            extents.give(extent.number);
        EXPECT_EQ(extents.largest_free_bytes(), extents.bytes());
    }
}

/// Proves: S-107, S-108
TEST(Extents, KeptNearlyFullForAMillionCalls_neverFails) {
    constexpr uint64_t GIB = 1u << 30;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    constexpr int SEEDS = 1, CALLS = 100'000;
#else
    constexpr int SEEDS = 10, CALLS = 1'000'000;
#endif
    for (int seed = 0; seed < SEEDS; ++seed) {
        std::mt19937_64 random(static_cast<uint64_t>(seed));
        std::uniform_real_distribution<double> uniform(0, 1);
        Extents extents(BASE, GIB);
        std::vector<Extents::Extent> out;
        for (int call = 0; call < CALLS; ++call) {
            // log-uniform: 256 B .. 1 MiB
            const auto bytes = static_cast<uint64_t>(256 * std::pow(4096.0, uniform(random)));
            const uint64_t used = extents.used_bytes();
            if (used < GIB / 100 * 85 || (used + bytes < GIB / 100 * 90 && random() % 2 != 0)) {
                const auto extent = extents.take(bytes, 256);
                ASSERT_TRUE(extent) << "seed " << seed << ", call " << call << ", " << bytes
                                    << " bytes, largest free " << extents.largest_free_bytes();
                out.push_back(*extent);
            } else {
                std::swap(out[random() % out.size()], out.back());
                extents.give(out.back().number);
                out.pop_back();
            }
        }
        EXPECT_GT(extents.largest_free_bytes(), uint64_t{4} << 20) << "seed " << seed;
    }
}

} // namespace
} // namespace nixl::core
