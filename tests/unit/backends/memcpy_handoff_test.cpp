// SPDX-License-Identifier: Apache-2.0
// The line between a poster and the worker that stands by: who may go when, and what arrives.
#include "backends/memcpy/handoff.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "backends/memcpy/queue.h"
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
    const auto end = std::chrono::steady_clock::now() + PATIENCE;
    for (unsigned round = 0;
         round < ROUNDS || (given < 100 && std::chrono::steady_clock::now() < end); ++round) {
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
    EXPECT_GE(given, 100u);
}

/// A queue with a worker that stands by for good, since the clock stands.
class MemcpyStandBy : public ::testing::Test {
  protected:
    static constexpr uint64_t BYTES = 128 << 10;
    static constexpr core::CopyPolicy POLICY{64 << 10,  1 << 20,    BYTES,   64 << 10, 1 << 20,
                                             512 << 10, UINT64_MAX, nullptr, 2,        16};

    MemcpyStandBy() {
        host.set_clock_ns(1'000'000'000);
        const auto end = std::chrono::steady_clock::now() + PATIENCE;
        while (queue->handed_over() == 0 && std::chrono::steady_clock::now() < end)
            copy(transfer({single(0, 0, BYTES)}));
        EXPECT_EQ(queue->handed_over(), 1u) << "no worker came to stand by";
    }
    ~MemcpyStandBy() override { host.set_clock_ns(0); }

    Transfer transfer(std::vector<nixl_run> runs) {
        std::fill(target.begin(), target.end(), static_cast<unsigned char>(0));
        return {source.data(), target.data(), std::move(runs), ++tag};
    }
    void submit(const Transfer& work) {
        const nixl_batch batch = work.rest(NIXL_BATCH_WAITED);
        ASSERT_EQ(queue->submit(batch), work.count());
    }
    /// Polls until something is completed, and sleeps meanwhile if it is to.
    nixl_completion completion(bool sleeps = false) {
        nixl_completion entry{};
        const auto end = std::chrono::steady_clock::now() + PATIENCE;
        while (queue->poll(&entry, 1) == 0 && std::chrono::steady_clock::now() < end) {
            const uint64_t before = host.wakes(this);
            if (!sleeps) {
                queue->assist();
            } else if (queue->arm()) {
                ++arms;
                EXPECT_TRUE(host.wait_for_wakes(this, before + 1, PATIENCE));
            }
        }
        return entry;
    }
    void copy(const Transfer& work, bool sleeps = false) {
        submit(work);
        const nixl_completion entry = completion(sleeps);
        ASSERT_EQ(entry.tag, work.tag);
        ASSERT_EQ(entry.element_count, work.count());
        ASSERT_EQ(entry.status, NIXL_OK);
    }
    [[nodiscard]] bool has_arrived(uint64_t bytes) const {
        return std::equal(target.begin(), target.begin() + static_cast<long>(bytes),
                          source.begin());
    }

    FakeHost host{2};
    Bytes source = random_bytes(1 << 20, 1);
    Bytes target = Bytes(1 << 20);
    uint64_t tag = 0, arms = 0;
    std::unique_ptr<core::CopyQueue> queue =
        std::make_unique<core::CopyQueue>(sdk::Host(host.table()), POLICY, 0, this);
};

TEST_F(MemcpyStandBy, SleepingDriver_isWoken) {
    constexpr uint64_t ENOUGH = 20;
    const auto end = std::chrono::steady_clock::now() + PATIENCE;
    uint64_t copies = queue->handed_over();
    for (; arms < ENOUGH && std::chrono::steady_clock::now() < end; ++copies) {
        copy(transfer({single(0, 0, BYTES)}), true);
        ASSERT_TRUE(has_arrived(BYTES));
    }
    EXPECT_GE(arms, ENOUGH);
    EXPECT_EQ(queue->handed_over(), copies);
}

TEST_F(MemcpyStandBy, WhatHasToStayWhole_isNotHanded) {
    Bytes expected = source;
    std::copy(source.begin(), source.begin() + BYTES, expected.begin() + 4096);
    copy({source.data(), source.data(), {single(0, 4096, BYTES)}, ++tag}); // overlaps itself
    EXPECT_EQ(source, expected);

    copy(transfer({single(0, 0, BYTES / 2), single(BYTES / 2, BYTES / 2, BYTES / 2)}));
    EXPECT_TRUE(has_arrived(BYTES));
    EXPECT_EQ(queue->handed_over(), 1u);
}

TEST_F(MemcpyStandBy, NextCopyMeanwhile_isMadeByItsPoster) {
    for (uint64_t round = 0; round < 200; ++round) {
        const Transfer first = transfer({single(0, 0, BYTES)});
        const Transfer second{source.data(), target.data(), {single(BYTES, BYTES, BYTES)}, ++tag};
        submit(first);
        submit(second);
        const uint64_t tags = completion().tag + completion().tag;
        ASSERT_EQ(tags, first.tag + second.tag);
        ASSERT_TRUE(has_arrived(2 * BYTES));
    }
}

TEST_F(MemcpyStandBy, CancelComesTooLate_allOfItMoves) {
    for (uint64_t round = 0; round < 200; ++round) {
        const Transfer work = transfer({single(0, 0, BYTES)});
        submit(work);
        queue->cancel(work.tag);
        const nixl_completion entry = completion();
        ASSERT_EQ(entry.status, NIXL_OK);
        ASSERT_EQ(entry.bytes, BYTES);
        ASSERT_TRUE(has_arrived(BYTES));
    }
    EXPECT_EQ(queue->handed_over(), 201u);
}

TEST_F(MemcpyStandBy, CloseBeforePoll_waitsForTheOtherHalf) {
    submit(transfer({single(0, 0, BYTES)}));
    host.set_clock_ns(0); // the worker's patience ends
    queue.reset();
    EXPECT_TRUE(has_arrived(BYTES));
}

TEST_F(MemcpyStandBy, ManyCopies_letOthersOntoThePool) {
    constexpr uint64_t TURN_BYTES = 64u << 20;
    const uint64_t before = host.works_run();
    for (uint64_t moved = 0; moved < 3 * TURN_BYTES; moved += BYTES / 2)
        copy({source.data(), target.data(), {single(0, 0, BYTES)}, ++tag});
    EXPECT_TRUE(has_arrived(BYTES));
    EXPECT_GE(host.works_run(), before + 2) << "the task went to the end of the queue";
}

} // namespace
} // namespace nixl::test::host_queues
