// SPDX-License-Identifier: Apache-2.0
// The bounded queue of events and its descriptor.
#include "transfer/completion_queue.h"

#include <thread>

#include <gtest/gtest.h>
#include <poll.h>

namespace nixl::core {
namespace {

nixl_event event_of(uint64_t number) {
    nixl_event event{};
    event.bytes = number;
    return event;
}

/// The generation of queues that no table gave a slot to.
constexpr uint32_t FRESH = 0;

bool reserve(CompletionQueue& queue) { return queue.reserve(FRESH) == Code::OK; }

bool readable(int fd) {
    pollfd polled{fd, POLLIN, 0};
    return ::poll(&polled, 1, 0) == 1;
}

TEST(CompletionQueue, Depth_isTheLimitOfPromises) {
    CompletionQueue queue;
    ASSERT_TRUE(queue.open(3).ok());

    EXPECT_TRUE(reserve(queue) && reserve(queue) && reserve(queue));
    EXPECT_FALSE(reserve(queue));
    queue.push(event_of(1));
    EXPECT_FALSE(reserve(queue)) << "an unread event still takes room";
    nixl_event got{};
    EXPECT_EQ(queue.take(&got, 1), 1u);
    EXPECT_TRUE(reserve(queue));
}

TEST(CompletionQueue, DepthOfNothingOrTooMuch_isRefused) {
    CompletionQueue queue;
    EXPECT_EQ(queue.open(0).error().code, Code::INVALID_ARGUMENT);
    EXPECT_EQ(queue.open(CompletionQueue::MAX_DEPTH + 1).error().code, Code::INVALID_ARGUMENT);
}

TEST(CompletionQueue, Events_comeInOrder) {
    CompletionQueue queue;
    ASSERT_TRUE(queue.open(1).ok());
    for (uint64_t i = 0; i < 10; ++i) {
        ASSERT_TRUE(reserve(queue));
        queue.push(event_of(i));
        nixl_event got[2];
        ASSERT_EQ(queue.take(got, 2), 1u);
        EXPECT_EQ(got[0].bytes, i);
    }
}

TEST(CompletionQueue, Arming_signalsOnceWhetherBeforeOrAfterTheEvent) {
    CompletionQueue queue;
    ASSERT_TRUE(queue.open(4).ok());
    ASSERT_TRUE(reserve(queue) && reserve(queue));

    queue.arm();
    EXPECT_FALSE(readable(queue.fd()));
    queue.push(event_of(1));
    EXPECT_TRUE(readable(queue.fd()));
    uint64_t count = 0;
    ASSERT_EQ(::read(queue.fd(), &count, sizeof count), ssize_t{sizeof count});

    queue.push(event_of(2)); // not armed: costs no system call
    EXPECT_FALSE(readable(queue.fd()));
    queue.arm(); // there is an event already
    EXPECT_TRUE(readable(queue.fd()));
}

TEST(CompletionQueue, ClosedWhileAnEventIsOwed_isBusyAndLosesNothing) {
    CompletionQueue queue;
    ASSERT_TRUE(queue.open(4).ok());
    ASSERT_TRUE(reserve(queue) && reserve(queue));
    queue.push(event_of(1));

    EXPECT_EQ(queue.close(FRESH), Code::BUSY);

    nixl_event got{};
    EXPECT_EQ(queue.take(&got, 1), 1u) << "what came before the refused close is still there";
    queue.push(event_of(2));
    EXPECT_EQ(queue.close(FRESH), Code::OK) << "an unread event does not keep it open";
}

TEST(CompletionQueue, Closed_refusesEverything) {
    CompletionQueue queue;
    ASSERT_TRUE(queue.open(4).ok());
    EXPECT_EQ(queue.close(FRESH + 2), Code::STALE) << "somebody else's handle";
    ASSERT_EQ(queue.close(FRESH), Code::OK);

    EXPECT_EQ(queue.reserve(FRESH), Code::STALE);
    EXPECT_FALSE(queue.enter(FRESH));
    EXPECT_EQ(queue.close(FRESH), Code::STALE);
    EXPECT_FALSE(queue.owes());
}

TEST(CompletionQueue, ManyWritersAndReaders_loseNothing) {
    CompletionQueue queue;
    ASSERT_TRUE(queue.open(64).ok());
    constexpr uint64_t EACH = 20'000;
    std::atomic<uint64_t> sum{0}, taken{0};
    const auto write = [&] {
        for (uint64_t i = 1; i <= EACH; ++i) {
            while (!reserve(queue))
                std::this_thread::yield();
            queue.push(event_of(i));
        }
    };
    const auto read = [&] {
        nixl_event events[8];
        while (taken.load() < 2 * EACH) {
            const uint32_t count = queue.take(events, 8);
            for (uint32_t i = 0; i < count; ++i)
                sum += events[i].bytes;
            taken += count;
        }
    };

    std::thread threads[] = {std::thread(write), std::thread(write), std::thread(read),
                             std::thread(read)};
    for (auto& thread : threads)
        thread.join();

    EXPECT_EQ(sum.load(), EACH * (EACH + 1));
    EXPECT_FALSE(queue.owes());
}

} // namespace
} // namespace nixl::core
