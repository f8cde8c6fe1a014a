// SPDX-License-Identifier: Apache-2.0
// Whatever the shape of the work, exactly the bytes it names arrive, and no other byte changes.
#include "tests/conformance/backend_rig.h"
#include "tests/conformance/subject_test.h"

namespace nixl::test {
namespace {

class BackendSizes : public SubjectTest {
  protected:
    /// Moves `runs` and compares the whole target with what a plain loop would have left.
    void expect_moved(uint64_t source_bytes, uint64_t target_bytes, std::vector<nixl_run> runs) {
        const auto source = make_source(source_bytes);
        const auto target = make_target(target_bytes);
        const Bytes content = random_bytes(source_bytes, 1), before = random_bytes(target_bytes, 2);
        source->write(content);
        target->write(before);
        BackendRig rig(subject());
        Work work =
            BackendRig::make_work(rig.source(*source), rig.target(*target), std::move(runs));

        ASSERT_TRUE(rig.finish(work)) << work.summary();

        EXPECT_EQ(work.count(NIXL_OK), work.elements.size()) << work.summary();
        for (const Work::Element& element : work.elements)
            ASSERT_EQ(element.moved, element.bytes);
        EXPECT_TRUE(!moves() || target->read() == expected_target(work, content, before));
        EXPECT_TRUE(source->read() == content) << "the source changed";
        EXPECT_EQ(target->damage(), "");
        rig.detach_all();
    }
};

TEST_P(BackendSizes, OneByte_arrives) { expect_moved(1, 1, {one(0, 0, 1)}); }

TEST_P(BackendSizes, LastByteOfBoth_arrives) { expect_moved(4097, 8191, {one(4096, 8190, 1)}); }

// Proves: S-092
TEST_P(BackendSizes, UnalignedRanges_moveExactly) {
    expect_moved(300000, 300000,
                 {one(1, 3, 4095), one(5001, 4098, 8193), one(20003, 20001, 65537),
                  one(100001, 90000, 131073), one(299999, 299999, 1)});
}

TEST_P(BackendSizes, PowersOfTwoAndTheirNeighbours_moveExactly) {
    std::vector<nixl_run> runs;
    uint64_t at = 0;
    for (uint64_t bytes = 1; bytes <= (256u << 10); bytes *= 4)
        for (const uint64_t length : {bytes, bytes + 1, bytes == 1 ? bytes : bytes - 1}) {
            runs.push_back(one(at, at + 7, length));
            at += length;
        }
    expect_moved(at, at + 7, std::move(runs));
}

TEST_P(BackendSizes, OneLongElement_movesExactly) {
    const uint64_t bytes = (8u << 20) + 12345;
    expect_moved(bytes, bytes + 1, {one(0, 1, bytes)});
}

TEST_P(BackendSizes, StridedRun_movesExactly) {
    expect_moved(100 * 513, 100 * 700, {strided(1, 2, 512, 513, 700, 100)});
}

TEST_P(BackendSizes, NegativeStrides_reverseTheOrder) {
    expect_moved(64 * 100, 64 * 100, {strided(0, 63 * 100, 100, 100, -100, 64)});
    expect_moved(64 * 100, 64 * 150, {strided(63 * 100, 63 * 150, 100, -100, -150, 64)});
}

TEST_P(BackendSizes, ZeroSourceStride_repeatsOneBlock) {
    expect_moved(4096, 50 * 4096, {strided(17, 5, 1000, 0, 4096, 50)});
}

TEST_P(BackendSizes, MixedRuns_moveExactly) {
    expect_moved(1 << 20, 1 << 20,
                 {one(5, 9, 3), strided(1000, 2000, 64, 64, 128, 40), one(70000, 70001, 50000),
                  strided(300000, 200000, 1, 2, 3, 1000),
                  strided(600000, 900000, 333, -400, -500, 99)});
}

TEST_P(BackendSizes, HundredThousandRuns_moveExactly) {
    const uint64_t count = 100'000 / slowdown();
    std::vector<nixl_run> runs;
    for (uint64_t i = 0; i < count; ++i) // neighbours in the source, shuffled in the target
        runs.push_back(one(i * 16, (i * 7919 % count) * 17, 16));
    expect_moved(count * 16, count * 17, std::move(runs));
}

TEST_P(BackendSizes, HundredThousandStridedElements_moveExactly) {
    const uint64_t count = 100'000 / slowdown();
    expect_moved(count * 24, count * 16, {strided(0, 0, 16, 24, 16, count)});
}

TEST_P(BackendSizes, SeveralPairs_areKeptApart) {
    BackendRig rig(subject());
    std::vector<std::unique_ptr<Place>> sources, targets;
    std::vector<Bytes> contents;
    Work work;
    for (uint32_t pair = 0; pair < 5; ++pair) {
        sources.push_back(make_source(10000));
        targets.push_back(make_target(10000));
        contents.push_back(random_bytes(10000, pair + 1));
        sources.back()->write(contents.back());
        work.pairs.push_back({rig.source(*sources.back()), rig.target(*targets.back())});
        nixl_run run = strided(0, 0, 1000, 1000, 1000, 10);
        run.pair = pair;
        work.runs.push_back(run);
        for (uint64_t i = 0; i < run.count; ++i)
            work.elements.push_back({i * 1000, i * 1000, 1000, pair});
    }

    ASSERT_TRUE(rig.finish(work)) << work.summary();

    EXPECT_EQ(work.count(NIXL_OK), 50u);
    for (uint32_t pair = 0; pair < 5; ++pair)
        EXPECT_TRUE(!moves() || targets[pair]->read() == contents[pair]) << "pair " << pair;
    rig.detach_all();
}

TEST_P(BackendSizes, RegionsWithinOneMemory_mayOverlap) {
    const auto source = make_source(100000);
    const auto target = make_target(100000);
    const Bytes content = random_bytes(100000, 3);
    source->write(content);
    BackendRig rig(subject());
    // The same range is registered three times, as overlapping buffers are.
    (void)rig.source(*source);
    Work work =
        BackendRig::make_work(rig.source(*source), rig.target(*target), {one(0, 0, 100000)});
    (void)rig.target(*target);

    ASSERT_TRUE(rig.finish(work));

    EXPECT_EQ(work.count(NIXL_OK), 1u);
    EXPECT_TRUE(!moves() || target->read() == content);
    rig.detach_all();
}

INSTANTIATE_TEST_SUITE_P(Backends, BackendSizes, ::testing::ValuesIn(subjects()), subject_name);

} // namespace
} // namespace nixl::test
