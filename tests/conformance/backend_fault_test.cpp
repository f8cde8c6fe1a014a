// SPDX-License-Identifier: Apache-2.0
// Every backend inside `fault`, for many seeds: refusals, late, split, reordered and short
// completions and errors. The contract must hold all the same.
#include <random>

#include "tests/conformance/backend_rig.h"
#include "tests/conformance/subject_test.h"

namespace nixl::test {
namespace {

class BackendFault : public SubjectTest {
  protected:
    static BackendRig::Options options(uint64_t seed, bool errors) {
        BackendRig::Options options;
        options.depth = seed % 3 == 0 ? 4 : 0;
        options.decorators = {"fault"};
        options.settings = {
            {"fault.seed", std::to_string(seed)}, {"fault.error_rate", errors ? "0.05" : "0"},
            {"fault.short_rate", "0.1"},          {"fault.refuse_rate", "0.2"},
            {"fault.delay_rate", "0.2"},          {"fault.split_rate", "0.3"},
            {"fault.reorder_rate", "0.2"}};
        return options;
    }

    /// Runs whose targets do not overlap, so that their order cannot matter.
    static std::vector<nixl_run> random_runs(std::mt19937_64& random, uint64_t source_bytes,
                                             uint64_t target_bytes) {
        std::vector<nixl_run> runs;
        uint64_t target = random() % 100;
        for (;;) {
            const uint64_t bytes = 1 + random() % (random() % 4 == 0 ? 9000 : 300);
            const uint64_t count = 1 + random() % 12;
            const uint64_t gap = random() % 50;
            const uint64_t target_end = target + count * (bytes + gap);
            if (target_end > target_bytes || bytes + count > source_bytes)
                return runs;
            const uint64_t source = random() % (source_bytes - bytes - count + 1);
            runs.push_back(strided(source, target, bytes, count == 1 ? 0 : 1,
                                   static_cast<int64_t>(bytes + gap), count));
            target = target_end;
        }
    }

    /// Asks again for the rest of short elements, as the core does. Adds up into `work`.
    static void finish_short_ones(BackendRig& rig, Work& work) {
        for (Work::Element& element : work.elements) {
            while (element.status == NIXL_OK && element.moved < element.bytes) {
                Work rest = BackendRig::make_work(
                    work.pairs[0].source, work.pairs[0].target,
                    {one(element.source_offset + element.moved,
                         element.target_offset + element.moved, element.bytes - element.moved)});
                ASSERT_TRUE(rig.finish(rest));
                element.status = rest.elements[0].status;
                element.moved += rest.elements[0].moved;
                ASSERT_TRUE(element.status != NIXL_OK || rest.elements[0].moved > 0);
            }
        }
    }
};

// Proves: S-094
TEST_P(BackendFault, EverySeed_keepsTheContract) {
    constexpr uint64_t SOURCE = 40000, TARGET = 60000;
    const auto source = make_source(SOURCE);
    const auto target = make_target(TARGET);
    const Bytes content = random_bytes(SOURCE, 1);
    source->write(content);
    for (uint64_t seed = 1; seed <= seed_count(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        std::mt19937_64 random(seed);
        const Bytes before = random_bytes(TARGET, seed);
        target->write(before);
        BackendRig rig(subject(), options(seed, seed % 2 == 0));
        Work work = BackendRig::make_work(rig.source(*source), rig.target(*target),
                                          random_runs(random, SOURCE, TARGET));

        ASSERT_TRUE(rig.finish(work)) << work.summary();
        finish_short_ones(rig, work);

        EXPECT_EQ(work.count(NIXL_OK) + work.count(NIXL_IO_ERROR), work.elements.size());
        EXPECT_TRUE(seed % 2 == 0 || work.count(NIXL_OK) == work.elements.size());
        ASSERT_TRUE(!moves() || target->read() == expected_target(work, content, before));
        ASSERT_EQ(target->damage(), "");
        rig.detach_all();
        if (HasFailure())
            return;
    }
}

TEST_P(BackendFault, HeldUntilCancelled_everyElementComesBack) {
    const auto source = make_source(64 * 1024);
    const auto target = make_target(64 * 1024);
    for (uint64_t seed = 1; seed <= std::max<uint64_t>(seed_count() / 10, 2); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        BackendRig::Options with = options(seed, true);
        with.settings["fault.hold_rate"] = "0.3";
        BackendRig rig(subject(), with);
        Work work = BackendRig::make_work(rig.source(*source), rig.target(*target),
                                          {strided(0, 0, 512, 512, 512, 128)});
        for (int i = 0; i < 50 && !work.finished(); ++i) {
            if (work.accepted != work.elements.size())
                rig.submit(work);
            rig.poll();
        }
        work.stopped = true;
        if (!work.finished())
            rig.cancel(work);

        ASSERT_TRUE(rig.drive([&] { return work.finished(); })) << work.summary();

        EXPECT_EQ(work.count(NIXL_IN_PROGRESS), work.elements.size() - work.accepted);
        rig.detach_all();
    }
}

TEST_P(BackendFault, StackedDecorators_keepTheContract) {
    const auto source = make_source(64 * 1024);
    const auto target = make_target(64 * 1024);
    const Bytes content = random_bytes(64 * 1024, 2);
    source->write(content);
    BackendRig::Options with = options(5, false);
    with.decorators = {"trace", "fault", "limit"};
    with.settings["limit.depth"] = "3";
    BackendRig rig(subject(), with);
    Work work = BackendRig::make_work(rig.source(*source), rig.target(*target),
                                      {strided(0, 0, 1024, 1024, 1024, 64)});

    ASSERT_TRUE(rig.finish(work)) << work.summary();
    finish_short_ones(rig, work);

    EXPECT_EQ(work.count(NIXL_OK), 64u);
    EXPECT_TRUE(!moves() || target->read() == content);
    rig.detach_all();
}

INSTANTIATE_TEST_SUITE_P(Backends, BackendFault, ::testing::ValuesIn(subjects()), subject_name);

} // namespace
} // namespace nixl::test
