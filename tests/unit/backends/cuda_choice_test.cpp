// SPDX-License-Identifier: Apache-2.0
// Which engine the cost model prefers. The figures behind it are measured on H200: what these tests
// ask is what those measurements showed.
#include <gtest/gtest.h>

#include "backends/cuda/choice.h"

namespace nixl::core::cuda {
namespace {

constexpr uint64_t KIB = 1024, MIB = 1024 * KIB;
constexpr uint32_t BUDGET = 8, ALL = 132;

WorkShape shape(Way way, uint64_t pieces, uint64_t bytes_each, bool is_read = true) {
    WorkShape made;
    made.way = way;
    made.is_read = is_read;
    made.pieces = made.elements = pieces;
    made.bytes = pieces * bytes_each;
    return made;
}

double expected(Engine engine, const WorkShape& work, uint32_t multiprocessors) {
    return expected_ns(engine, work, multiprocessors, BUILT_IN_COSTS);
}

Engine fastest(const WorkShape& work, uint32_t multiprocessors,
               const CostTable& costs = BUILT_IN_COSTS) {
    Engine best = Engine::COPY;
    for (const Engine engine : {Engine::PLAIN_KERNEL, Engine::BULK_KERNEL})
        if (expected_ns(engine, work, multiprocessors, costs) <
            expected_ns(best, work, multiprocessors, costs))
            best = engine;
    return best;
}

TEST(CudaChoice, FewAndLarge_goThroughCopyEngines) {
    for (const Way way : {Way::IN, Way::OUT, Way::WITHIN, Way::ACROSS}) {
        EXPECT_EQ(fastest(shape(way, 1, 4 * KIB), BUDGET), Engine::COPY);
        EXPECT_EQ(fastest(shape(way, 2, 256 * MIB), BUDGET), Engine::COPY);
    }
    EXPECT_EQ(fastest(shape(Way::WITHIN, 4, 64 * MIB), BUDGET), Engine::COPY)
        << "8 multiprocessors copy 400 GB/s, the engine 1,350";
}

TEST(CudaChoice, ManyAndSmall_goToAKernel) {
    for (const Way way : {Way::IN, Way::OUT, Way::WITHIN, Way::ACROSS}) {
        EXPECT_NE(fastest(shape(way, 16, 4 * KIB), BUDGET), Engine::COPY);
        EXPECT_NE(fastest(shape(way, 65'536, 16 * KIB), BUDGET), Engine::COPY);
    }
}

TEST(CudaChoice, KernelThatIsFaster_followsTheSizeOfElements) {
    EXPECT_EQ(fastest(shape(Way::WITHIN, 65'536, 1 * KIB), BUDGET), Engine::PLAIN_KERNEL);
    EXPECT_EQ(fastest(shape(Way::WITHIN, 65'536, 4 * KIB), BUDGET), Engine::BULK_KERNEL);
    EXPECT_EQ(fastest(shape(Way::ACROSS, 65'536, 4 * KIB), BUDGET), Engine::BULK_KERNEL);
    EXPECT_EQ(fastest(shape(Way::ACROSS, 65'536, 16 * KIB, false), BUDGET), Engine::PLAIN_KERNEL);
    EXPECT_EQ(fastest(shape(Way::IN, 65'536, 1 * KIB), 2), Engine::BULK_KERNEL);
}

TEST(CudaChoice, MoreMultiprocessors_neverTakeLonger) {
    for (const Way way : {Way::IN, Way::OUT, Way::WITHIN, Way::ACROSS})
        for (const uint64_t bytes : {64 * 1ul, KIB, 4 * KIB, 64 * KIB, MIB})
            for (const Engine engine : {Engine::PLAIN_KERNEL, Engine::BULK_KERNEL})
                EXPECT_LE(expected(engine, shape(way, 1000, bytes), ALL),
                          expected(engine, shape(way, 1000, bytes), BUDGET));
}

TEST(CudaChoice, AnotherTable_isWhatCounts) {
    CostTable costs = BUILT_IN_COSTS;
    const WorkShape in = shape(Way::IN, 1000, 4 * KIB), out = shape(Way::OUT, 1000, 4 * KIB);

    costs.in.copy_ns = 1;

    EXPECT_EQ(fastest(in, BUDGET, costs), Engine::COPY);
    EXPECT_NE(fastest(out, BUDGET, costs), Engine::COPY) << "each way has figures of its own";
    costs.copy_start_ns = 1'000'000;
    EXPECT_NE(fastest(in, BUDGET, costs), Engine::COPY);
}

} // namespace
} // namespace nixl::core::cuda
