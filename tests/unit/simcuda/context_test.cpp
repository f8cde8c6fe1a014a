// SPDX-License-Identifier: Apache-2.0
// Contexts: what is current on which thread, what ends with one, and forked children.
#include "rig.h"

#include <thread>

namespace nixl::test {
namespace {

TEST(SimulatedContext, Stack_isTheThreadsOwn) {
    on_gpus([](Rig& rig) {
        Context current = nullptr, popped = nullptr;
        EXPECT_EQ(rig.call.context_push(rig.contexts[1]), CuResult::SUCCESS);
        std::thread([&] {
            Context other = rig.contexts[0];
            EXPECT_EQ(rig.call.context_current(&other), CuResult::SUCCESS);
            EXPECT_EQ(other, nullptr);
        }).join();
        EXPECT_EQ(rig.call.context_current(&current), CuResult::SUCCESS);
        EXPECT_EQ(current, rig.contexts[1]);
        EXPECT_EQ(rig.call.context_pop(&popped), CuResult::SUCCESS);
        EXPECT_EQ(popped, rig.contexts[1]);
        Device device = -1;
        EXPECT_EQ(rig.call.context_device(&device), CuResult::SUCCESS);
        EXPECT_EQ(device, 0);
    });
}

TEST(SimulatedContext, ThreadWithoutOne_isRefused) {
    on_gpus([](Rig& rig) {
        std::thread([&] {
            Address address = 0;
            Stream stream = nullptr;
            EXPECT_EQ(rig.call.memory_alloc(&address, 1), CuResult::INVALID_CONTEXT);
            EXPECT_EQ(rig.call.stream_create(&stream, 0, 0), CuResult::INVALID_CONTEXT);
            EXPECT_EQ(rig.call.context_synchronize(), CuResult::INVALID_CONTEXT);
            EXPECT_EQ(rig.call.context_pop(nullptr), CuResult::INVALID_CONTEXT);
            EXPECT_EQ(rig.call.context_push(nullptr), CuResult::INVALID_CONTEXT);
        }).join();
    });
}

TEST(SimulatedContext, RetainedTwice_isOneAndEndsWithTheSecondRelease) {
    on_gpus([](Rig& rig) {
        Context again = nullptr;
        EXPECT_EQ(rig.call.context_retain(&again, 0), CuResult::SUCCESS);
        EXPECT_EQ(again, rig.contexts[0]);
        (void)rig.device_bytes(1 << 20);
        const Stream stream = rig.stream();

        EXPECT_EQ(rig.call.context_release(0), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.stream_query(stream), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.context_release(0), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.stream_query(stream), CuResult::CONTEXT_IS_DESTROYED);
        EXPECT_EQ(rig.call.context_push(again), CuResult::INVALID_CONTEXT);
        EXPECT_EQ(rig.call.context_release(0), CuResult::INVALID_CONTEXT);

        EXPECT_EQ(rig.call.context_retain(&again, 0), CuResult::SUCCESS);
        const Current current(rig, again);
        EXPECT_EQ(rig.free_bytes(), size_t{16} << 30);
        EXPECT_EQ(rig.call.stream_query(stream), CuResult::INVALID_HANDLE);
    });
}

TEST(SimulatedContext, ContextThatEnds_finishesItsWorkFirst) {
    on_gpus([](Rig& rig) {
        const Stream stream = rig.stream();
        const Address target = rig.device_bytes(64);
        void* host = nullptr;
        const Current other(rig, rig.contexts[1]);
        EXPECT_EQ(rig.call.host_alloc(&host, 64, 0), CuResult::SUCCESS);
        Gate gate(rig, stream);
        EXPECT_EQ(rig.call.fill(target, 'x', 64, stream), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.copy_to_host(host, target, 64, stream), CuResult::SUCCESS);

        std::thread opener([&] { gate.open(); });
        EXPECT_EQ(rig.call.context_release(0), CuResult::SUCCESS);

        EXPECT_EQ(std::string(static_cast<char*>(host), 64), std::string(64, 'x'));
        opener.join();
    });
}

TEST(SimulatedContext, Priorities_haveTheRealRange) {
    on_gpus([](Rig& rig) {
        int least = 1, greatest = 1;
        EXPECT_EQ(rig.call.context_priorities(&least, &greatest), CuResult::SUCCESS);
        EXPECT_EQ(least, 0);
        EXPECT_EQ(greatest, -5);
    });
}

TEST(SimulatedContext, ForkedChild_hasNoDriver) {
    on_gpus([](Rig& rig) {
        EXPECT_EQ(in_child([&]() -> std::string {
                      Address address = 0;
                      EXPECT_EQ(rig.call.init(0), CuResult::NOT_INITIALIZED);
                      EXPECT_EQ(rig.call.memory_alloc(&address, 1), CuResult::NOT_INITIALIZED);
                      EXPECT_EQ(rig.call.context_push(rig.contexts[0]), CuResult::NOT_INITIALIZED);
                      return "";
                  }),
                  "");
        EXPECT_EQ(rig.read(rig.device_bytes(4), 4).size(), 4u);
    });
}

TEST(SimulatedContext, PeerAccess_isGivenOnceAndNotToOneself) {
    on_gpus([](Rig& rig) {
        EXPECT_EQ(rig.call.peer_enable(rig.contexts[1], 1), CuResult::INVALID_VALUE);
        EXPECT_EQ(rig.call.peer_enable(rig.contexts[0], 0), CuResult::INVALID_CONTEXT);
        EXPECT_EQ(rig.call.peer_enable(rig.contexts[1], 0), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.peer_enable(rig.contexts[1], 0), CuResult::PEER_ACCESS_ALREADY_ENABLED);
    });
}

} // namespace
} // namespace nixl::test
