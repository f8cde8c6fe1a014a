// SPDX-License-Identifier: Apache-2.0
// The line between a poster and the worker that stands by: who may go when, and what arrives.
#include "backends/memcpy/handoff.h"

#include <algorithm>
#include <thread>

#include <gtest/gtest.h>

#include "backends/builtin.h"
#include "tests/unit/backends/queue_rig.h"

namespace nixl::test::host_queues {
namespace {

using core::Handoff;

TEST(MemcpyHandoff, NobodyStandsBy_nothingIsTaken) {
    Handoff handoff;
    Bytes source(64, 1), target(64);

    EXPECT_FALSE(handoff.give(target.data(), source.data(), 64));
    ASSERT_TRUE(handoff.stand_by());
    ASSERT_TRUE(handoff.stand_down());
    EXPECT_FALSE(handoff.give(target.data(), source.data(), 64));

    ASSERT_TRUE(handoff.stand_by());
    EXPECT_EQ(handoff.copy_given(), 0u);
    EXPECT_EQ(target, Bytes(64));
}

TEST(MemcpyHandoff, WorkerThatWasGivenSomething_staysUntilItIsCopied) {
    Handoff handoff;
    Bytes source(64, 1), target(64);
    ASSERT_TRUE(handoff.stand_by());
    EXPECT_FALSE(handoff.stand_by()) << "one at a time";
    ASSERT_TRUE(handoff.give(target.data(), source.data(), 64));

    EXPECT_FALSE(handoff.give(target.data(), source.data(), 64));
    EXPECT_FALSE(handoff.stand_down());
    EXPECT_FALSE(handoff.is_copied());

    EXPECT_EQ(handoff.copy_given(), 64u);
    EXPECT_TRUE(handoff.is_copied());
    EXPECT_EQ(target, source);
    EXPECT_TRUE(handoff.stand_down());
    EXPECT_TRUE(handoff.is_copied()) << "as long as nothing else is given";
}

TEST(MemcpyHandoff, WorkersThatComeAndGo_copyWhatWasTakenAndNothingElse) {
    constexpr size_t BYTES = 256;
    constexpr unsigned ROUNDS = 20'000;
    Handoff handoff;
    std::atomic<bool> ends{false};
    std::vector<std::thread> workers;
    for (int worker = 0; worker < 2; ++worker)
        workers.emplace_back([&] {
            while (!ends.load())
                if (handoff.stand_by()) {
                    for (int look = 0; look < 20; ++look)
                        (void)handoff.copy_given();
                    while (!handoff.stand_down())
                        (void)handoff.copy_given();
                } else {
                    std::this_thread::yield();
                }
        });
    uint64_t given = 0, wrong = 0;
    Bytes source(BYTES), target(BYTES);
    for (unsigned round = 0; round < ROUNDS || given < 100; ++round) {
        std::fill(source.begin(), source.end(), static_cast<unsigned char>(round));
        std::fill(target.begin(), target.end(), static_cast<unsigned char>(round + 1));
        const Bytes before = target;
        const bool is_taken = handoff.give(target.data(), source.data(), BYTES);
        while (is_taken && !handoff.is_copied())
            std::this_thread::yield();
        given += is_taken ? 1 : 0;
        wrong += target != (is_taken ? source : before) ? 1 : 0;
    }
    ends = true;
    for (std::thread& worker : workers)
        worker.join();

    EXPECT_EQ(wrong, 0u);
}

/// A clock that stands, so that a worker which was woken once stands by for good.
class MemcpyStandBy : public ::testing::Test {
  protected:
    static constexpr uint64_t BYTES = 128 << 10;

    MemcpyStandBy() {
        host.set_clock_ns(1'000'000'000);
        for (int copy = 0; copy < 3; ++copy) { // as many as it takes to wake one
            Transfer work(source.data(), target.data(), {single(0, 0, 1 << 20)}, 1);
            EXPECT_EQ(rig.submit(work, NIXL_BATCH_WAITED), 1u);
            EXPECT_TRUE(rig.finish(work, 0, true));
        }
    }
    ~MemcpyStandBy() override { host.set_clock_ns(0); }

    FakeHost host{2};
    Bytes source = random_bytes(1 << 20, 1);
    Bytes target = Bytes(1 << 20);
    QueueRig rig{host, load(nixl_backend_entry_memcpy, host)};
};

TEST_F(MemcpyStandBy, SleepingDriver_isWoken) {
    for (uint64_t round = 0; round < 500; ++round) {
        std::fill(target.begin(), target.begin() + BYTES, static_cast<unsigned char>(round));
        Transfer work(source.data(), target.data(), {single(0, 0, BYTES)}, round);
        ASSERT_EQ(rig.submit(work, NIXL_BATCH_WAITED), 1u);
        ASSERT_TRUE(rig.finish_sleeping(work)) << "round " << round;
        ASSERT_TRUE(std::equal(target.begin(), target.begin() + BYTES, source.begin()));
    }
}

TEST_F(MemcpyStandBy, OverlapInOneElement_isMemmove) {
    for (uint64_t round = 0; round < 100; ++round) {
        Bytes expected = source;
        std::copy(source.begin(), source.begin() + BYTES, expected.begin() + 4096);
        Transfer work(source.data(), source.data(), {single(0, 4096, BYTES)}, round);
        ASSERT_EQ(rig.submit(work, NIXL_BATCH_WAITED), 1u);
        ASSERT_TRUE(rig.finish(work, 0, true));
        ASSERT_EQ(source, expected);
    }
}

TEST_F(MemcpyStandBy, CancelComesTooLate_allOfItMoves) {
    for (uint64_t round = 0; round < 500; ++round) {
        std::fill(target.begin(), target.begin() + BYTES, static_cast<unsigned char>(0));
        Transfer work(source.data(), target.data(), {single(0, 0, BYTES)}, round);
        ASSERT_EQ(rig.submit(work, NIXL_BATCH_WAITED), 1u);
        rig.cancel(round);
        ASSERT_TRUE(rig.finish(work, 0, true));
        ASSERT_EQ(work.with_status(NIXL_OK) * BYTES, work.bytes);
    }
}

} // namespace
} // namespace nixl::test::host_queues
