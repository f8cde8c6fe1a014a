// SPDX-License-Identifier: Apache-2.0
// The parts of the posix backend that can be looked at without a file.
#include <atomic>
#include <cerrno>
#include <chrono>
#include <functional>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "backends/posix/bounded_ring.h"
#include "backends/posix/operation.h"
#include "backends/posix/strand.h"
#include "backends/posix/thread_pool.h"
#include "backends/posix/write_phase.h"
#if NIXL_HAVE_IO_URING
#include "backends/posix/ring_tables.h"
#endif

namespace nixl::core::posix {
namespace {

using Way = WritePhase::Way;

TEST(WritePhase, DirectWritesAlone_goTogether) {
    WritePhase phase;
    EXPECT_EQ(phase.start(true, false), Way::DIRECT);
    EXPECT_EQ(phase.start(true, false), Way::DIRECT);
}

TEST(WritePhase, UnalignedWriteBehindDirectOnes_waitsForAllOfThem) {
    WritePhase phase;
    (void)phase.start(true, false);
    (void)phase.start(true, false);

    EXPECT_EQ(phase.start(false, false), Way::WAIT);
    EXPECT_FALSE(phase.finish(Way::DIRECT));
    EXPECT_EQ(phase.start(false, true), Way::WAIT);
    EXPECT_TRUE(phase.finish(Way::DIRECT)) << "the last one wakes";
    EXPECT_EQ(phase.start(false, true), Way::CACHED);
    EXPECT_FALSE(phase.finish(Way::CACHED));
}

TEST(WritePhase, AlignedWriteBesideCachedOne_goesThroughTheCacheToo) {
    WritePhase phase;
    (void)phase.start(false, false);
    EXPECT_EQ(phase.start(true, false), Way::CACHED);
    (void)phase.finish(Way::CACHED);
    EXPECT_EQ(phase.start(true, false), Way::CACHED);
    (void)phase.finish(Way::CACHED);
    (void)phase.finish(Way::CACHED);
    EXPECT_EQ(phase.start(true, false), Way::DIRECT);
}

TEST(WritePhase, WaitingWrite_isNotOvertakenForEver) {
    WritePhase phase;
    (void)phase.start(true, false);
    (void)phase.start(false, false); // waits
    EXPECT_EQ(phase.start(true, false), Way::WAIT);
    EXPECT_TRUE(phase.finish(Way::DIRECT));
    EXPECT_EQ(phase.start(true, true), Way::CACHED);
    EXPECT_EQ(phase.start(false, true), Way::CACHED);
}

TEST(WritePhase, WaitGivenUp_letsDirectWritesGoOn) {
    WritePhase phase;
    (void)phase.start(true, false);
    (void)phase.start(false, false);
    phase.stop_waiting();
    EXPECT_EQ(phase.start(true, false), Way::DIRECT);
}

TEST(WritePhase, ManyThreads_neverMixBothSorts) {
    WritePhase phase;
    std::atomic<int> direct{0}, cached{0}, mixed{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 5000; ++i) {
                const bool aligned = (i + t) % 3 != 0;
                Way way = phase.start(aligned, false);
                while (way == Way::WAIT) {
                    std::this_thread::yield();
                    way = phase.start(aligned, true);
                }
                auto& mine = way == Way::DIRECT ? direct : cached;
                auto& other = way == Way::DIRECT ? cached : direct;
                mine.fetch_add(1);
                mixed += other.load() > 0 ? 1 : 0;
                mine.fetch_sub(1);
                (void)phase.finish(way);
            }
        });
    for (auto& thread : threads)
        thread.join();

    EXPECT_EQ(mixed.load(), 0);
    EXPECT_EQ(phase.start(true, false), Way::DIRECT) << "something was left behind";
}

#if NIXL_HAVE_IO_URING
// The second one does not fit beside the first, and does when that is gone.
TEST(RingTables, BufferBeyondTheBudget_isRegisteredWhenThereIsRoomAgain) {
    io_uring ring = {};
    if (io_uring_queue_init(2, &ring, 0) != 0)
        GTEST_SKIP() << "no io_uring here";
    {
        constexpr uint64_t BYTES = 64u << 10;
        std::vector<std::byte> memory(2 * BYTES);
        RingTables tables(ring, BYTES);
        Region storage, first, second;
        iovec vector = {};
        const auto used = [&](Region& region) {
            Operation operation = {};
            vector = {region.base, BYTES};
            operation.storage = &storage;
            operation.memory = &region;
            operation.vectors = &vector;
            operation.element_bytes = BYTES;
            operation.element_count = 1;
            operation.is_direct = true;
            for (int time = 0; time < 3; ++time)
                if (tables.buffer_slot(operation) != NO_SLOT)
                    return true;
            return false;
        };
        first.base = memory.data();
        second.base = memory.data() + BYTES;
        first.bytes = second.bytes = BYTES;
        first.buffer_slot = 0;
        second.buffer_slot = 1;
        const bool registered = used(first);
        if (registered) { // else this machine has no such tables, or lets too little be locked
            EXPECT_FALSE(used(second));

            tables.remove(first);

            EXPECT_TRUE(used(second));
            tables.remove(second);
        }
    }
    io_uring_queue_exit(&ring);
}
#endif

TEST(ThreadPool, FilesThatHang_leaveAThreadToOtherDevices) {
    struct State {
        std::atomic<bool> hangs{true};
        std::atomic<uint32_t> hung{0}, other{0};
    } state;
    ThreadPool::Group device, healthy;
    ThreadPool::Group files[] = {{2, &device}, {2, &device}};
    const auto hang = [](void* owner, void*) {
        auto& self = *static_cast<State*>(owner);
        while (self.hangs.load())
            std::this_thread::yield();
        return int64_t{0};
    };
    const auto nothing = [](void*, void*) { return int64_t{0}; };
    const auto hung = [](void* owner, void*, int64_t) { ++static_cast<State*>(owner)->hung; };
    const auto count = [](void* owner, void*, int64_t) { ++static_cast<State*>(owner)->other; };
    {
        ThreadPool pool(4);
        ASSERT_TRUE(pool.start_all());
        for (int i = 0; i < 10; ++i)
            ASSERT_TRUE(pool.run({&files[i % 2], hang, hung, &state, nullptr}));
        for (int i = 0; i < 5; ++i)
            ASSERT_TRUE(pool.run({&healthy, nothing, count, &state, nullptr}));
        // At once: a thread that looks for work counts itself in a file before the device refuses.
        const auto settled = [&] {
            return state.other.load() == 5 && device.threads.load() == 3 &&
                   files[0].threads.load() + files[1].threads.load() == 3;
        };
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        bool is_settled = settled();
        for (; !is_settled && std::chrono::steady_clock::now() < end; is_settled = settled())
            std::this_thread::yield();
        EXPECT_TRUE(is_settled) << state.other.load() << " of the other device's jobs are done, "
                                << device.threads.load() << " threads hang";
        state.hangs = false;
    }
    EXPECT_EQ(state.hung.load(), 10u) << "every job is run before the pool ends";
    EXPECT_EQ(device.threads.load(), 0u);
}

TEST(ThreadPool, ManyGroupsAndThreads_runEachJobOnce) {
    ThreadPool::Group device;
    ThreadPool::Group groups[] = {{2, &device}, {2, &device}, {1, nullptr}};
    std::atomic<uint32_t> done{0};
    {
        ThreadPool pool(4);
        ASSERT_TRUE(pool.start_all());
        for (uint32_t i = 0; i < 30'000; ++i) {
            const auto work = [](void*, void*) { return int64_t{1}; };
            const auto count = [](void* owner, void*, int64_t result) {
                *static_cast<std::atomic<uint32_t>*>(owner) += static_cast<uint32_t>(result);
            };
            while (!pool.run({&groups[i % 7 % 3], work, count, &done, nullptr}))
                std::this_thread::yield();
        }
    }
    EXPECT_EQ(done.load(), 30'000u);
}

TEST(ThreadPool, MoreThreads_takeWhatWaitsForOne) {
    struct State {
        std::atomic<bool> runs{false}, hangs{true};
        std::atomic<uint32_t> done{0};
    } state, others;
    ThreadPool::Group group, other; // each leaves a thread to others: of two it has one
    const auto hang = [](void* owner, void*) {
        auto& self = *static_cast<State*>(owner);
        self.runs = true;
        while (self.hangs.load())
            std::this_thread::yield();
        return int64_t{0};
    };
    const auto nothing = [](void*, void*) { return int64_t{0}; };
    const auto count = [](void* owner, void*, int64_t) { ++static_cast<State*>(owner)->done; };
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    const auto wait_for = [&](const std::function<bool()>& condition) {
        while (!condition() && std::chrono::steady_clock::now() < end)
            std::this_thread::yield();
        return condition();
    };
    {
        ThreadPool pool(3);
        ASSERT_TRUE(pool.start(2));
        ASSERT_TRUE(pool.run({&group, hang, count, &state, nullptr}));
        EXPECT_TRUE(wait_for([&] { return state.runs.load(); }));
        ASSERT_TRUE(pool.run({&group, nothing, count, &state, nullptr}));
        ASSERT_TRUE(pool.run({&other, nothing, count, &others, nullptr}));
        EXPECT_TRUE(wait_for([&] { return others.done.load() == 1; }));
        EXPECT_EQ(state.done.load(), 0u) << "it waits: the job behind it is over";
        ASSERT_TRUE(pool.start(3));
        EXPECT_TRUE(wait_for([&] { return state.done.load() == 1; }));
        state.hangs = false;
    }
    EXPECT_EQ(state.done.load(), 2u);
}

TEST(Strand, WhatComesWhileItIsServed_isServedInOrder) {
    Strand strand;
    Operation operations[4] = {};

    EXPECT_TRUE(strand.push(operations[0])) << "nobody serves it yet";
    EXPECT_FALSE(strand.push(operations[1]));
    Operation* const first = strand.take();
    ASSERT_EQ(first, &operations[0]);
    EXPECT_EQ(first->next_in_turn, &operations[1]);
    EXPECT_EQ(operations[1].next_in_turn, nullptr);

    EXPECT_FALSE(strand.push(operations[2]));
    EXPECT_FALSE(strand.rest()) << "there is more";
    EXPECT_EQ(strand.take(), &operations[2]);
    EXPECT_EQ(strand.take(), nullptr);
    EXPECT_TRUE(strand.rest());
    EXPECT_TRUE(strand.push(operations[3]));
}

TEST(Strand, ManyPushers_areServedByOneThreadAtATime) {
    constexpr size_t EACH = 20'000, THREADS = 3;
    Strand strand;
    std::vector<Operation> operations(EACH * THREADS);
    std::atomic<uint32_t> serving{0}, served{0};
    std::atomic<bool> apart{true}, ordered{true};
    size_t next[THREADS] = {}; // by whoever serves
    const auto serve = [&] {
        if (serving.fetch_add(1) != 0)
            apart = false;
        for (bool over = false; !over;) {
            for (Operation* one = strand.take(); one != nullptr; one = one->next_in_turn) {
                const auto number = static_cast<size_t>(one - operations.data());
                ordered = ordered && next[number / EACH]++ == number % EACH;
                ++served;
            }
            serving.fetch_sub(1);
            over = strand.rest();
            serving.fetch_add(over ? 0 : 1);
        }
    };
    std::vector<std::thread> threads;
    for (size_t t = 0; t < THREADS; ++t) {
        threads.emplace_back([&, t] {
            for (size_t i = 0; i < EACH; ++i)
                if (strand.push(operations[t * EACH + i]))
                    serve();
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(served.load(), EACH * THREADS);
    EXPECT_TRUE(apart.load()) << "two served it at once";
    EXPECT_TRUE(ordered.load());
}

TEST(BoundedRing, FullAndEmpty_areTold) {
    BoundedRing<int> ring(4);
    int value = 0;
    EXPECT_TRUE(ring.is_empty());
    EXPECT_FALSE(ring.pop(&value));
    for (int i = 0; i < 4; ++i)
        EXPECT_TRUE(ring.push(i));
    EXPECT_FALSE(ring.push(4));
    for (int i = 0; i < 4; ++i) {
        EXPECT_TRUE(ring.pop(&value));
        EXPECT_EQ(value, i);
    }
    EXPECT_TRUE(ring.is_empty());
}

TEST(BoundedRing, SeveralProducersAndConsumers_passEachValueOnce) {
    constexpr uint64_t EACH = 20'000;
    BoundedRing<uint64_t> ring(64);
    std::atomic<uint64_t> sum{0}, taken{0};
    std::vector<std::thread> threads;
    for (uint64_t t = 0; t < 2; ++t) {
        threads.emplace_back([&, t] {
            for (uint64_t i = 0; i < EACH; ++i)
                while (!ring.push(t * EACH + i))
                    std::this_thread::yield();
        });
        threads.emplace_back([&] {
            uint64_t value = 0;
            while (taken.load() < 2 * EACH) {
                if (!ring.pop(&value)) {
                    std::this_thread::yield();
                    continue;
                }
                sum += value;
                ++taken;
            }
        });
    }
    for (auto& thread : threads)
        thread.join();

    EXPECT_EQ(sum.load(), (2 * EACH) * (2 * EACH - 1) / 2);
}

} // namespace
} // namespace nixl::core::posix
