// SPDX-License-Identifier: Apache-2.0
// Work of any timing is run exactly once, whether threads are parked, still warm or busy.
#include "base/worker_pool.h"

#include <atomic>

#include <gtest/gtest.h>

namespace nixl::core {
namespace {

constexpr auto COUNT_IT = [](void* argument) {
    static_cast<std::atomic<uint64_t>*>(argument)->fetch_add(1);
};

TEST(WorkerPool, WorkGivenOneByOne_isRunEachTime) {
    std::atomic<uint64_t> done{0};
    WorkerPool pool(2);
    for (uint64_t i = 1; i <= 2000; ++i) {
        ASSERT_EQ(pool.run(COUNT_IT, &done), Code::OK);
        // From "at once" to beyond the time that a thread stays warm.
        for (uint64_t turn = 0; done.load() != i || turn < i % 64 * 20; ++turn)
            std::this_thread::yield();
    }
    EXPECT_EQ(done.load(), 2000u);
}

TEST(WorkerPool, CrowdsFromSeveralThreads_areRunToTheLast) {
    std::atomic<uint64_t> done{0}, given{0};
    {
        WorkerPool pool(3);
        std::vector<std::thread> givers;
        for (int t = 0; t < 3; ++t)
            givers.emplace_back([&] {
                for (int i = 0; i < 20'000; ++i)
                    if (pool.run(COUNT_IT, &done) == Code::OK)
                        given.fetch_add(1);
            });
        for (std::thread& giver : givers)
            giver.join();
    }
    EXPECT_EQ(done.load(), given.load());
}

// Two pieces that need each other: one spinning thread must not stand for two.
TEST(WorkerPool, TwoPiecesAtOnce_runOnTwoThreads) {
    struct Both {
        std::atomic<int> here{0}, done{0};
    };
    WorkerPool pool(2);
    for (int round = 0; round < 500; ++round) {
        Both both;
        const auto meet = [](void* argument) {
            auto& self = *static_cast<Both*>(argument);
            self.here.fetch_add(1);
            while (self.here.load() < 2)
                std::this_thread::yield();
            self.done.fetch_add(1);
        };
        ASSERT_EQ(pool.run(meet, &both), Code::OK);
        ASSERT_EQ(pool.run(meet, &both), Code::OK);
        while (both.done.load() < 2)
            std::this_thread::yield();
    }
}

} // namespace
} // namespace nixl::core
