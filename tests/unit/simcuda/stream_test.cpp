// SPDX-License-Identifier: Apache-2.0
// Streams: asynchronous, in order, and joined only where they are told to be.
#include "rig.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

namespace nixl::test {
namespace {

TEST(SimulatedStream, Work_isNotDoneWhenTheCallReturns) {
    on_gpus([](Rig& rig) {
        const Stream stream = rig.stream();
        const Address target = rig.device_bytes(64);
        EXPECT_EQ(rig.faults("slow=300000"), 0);
        EXPECT_EQ(rig.call.fill(target, 'a', 64, stream), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.stream_query(stream), CuResult::NOT_READY);
        EXPECT_EQ(rig.call.stream_synchronize(stream), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.stream_query(stream), CuResult::SUCCESS);
    });
}

TEST(SimulatedStream, Operations_runInOrder) {
    on_gpus([](Rig& rig) {
        const Stream stream = rig.stream();
        const Address target = rig.device_bytes(256);
        for (int i = 0; i < 256; ++i)
            EXPECT_EQ(rig.call.fill(target + static_cast<Address>(i), static_cast<unsigned char>(i),
                                    static_cast<size_t>(256 - i), stream),
                      CuResult::SUCCESS);
        EXPECT_EQ(rig.call.stream_synchronize(stream), CuResult::SUCCESS);
        const std::string bytes = rig.read(target, 256);
        for (int i = 0; i < 256; ++i)
            EXPECT_EQ(static_cast<unsigned char>(bytes[static_cast<size_t>(i)]), i);
    });
}

/// By name: a sanitizer has threads of its own.
int stream_threads() {
    int count = 0;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        std::string name;
        std::getline(std::ifstream(task.path() / "comm"), name);
        count += name == "nixl-sim-stream" ? 1 : 0;
    }
    return count;
}

TEST(SimulatedStream, BeforeTheFirstWork_thereIsNoThread) {
    on_gpus([](Rig& rig) {
        const Stream stream = rig.stream();
        const Address target = rig.device_bytes(1);
        EXPECT_EQ(rig.call.stream_synchronize(stream), CuResult::SUCCESS);
        EXPECT_EQ(stream_threads(), 0);
        EXPECT_EQ(rig.call.fill(target, 0, 1, stream), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.stream_synchronize(stream), CuResult::SUCCESS);
        EXPECT_EQ(stream_threads(), 1);
    });
}

TEST(SimulatedStream, FullStream_holdsTheCallerUp) {
    on_gpus([](Rig& rig) {
        const Stream stream = rig.stream();
        const Address target = rig.device_bytes(1);
        std::atomic<int> posted{0};
        Gate gate(rig, stream);
        std::thread poster([&] {
            const Current current(rig, rig.contexts[0]);
            for (int i = 0; i < 2000; ++i, ++posted)
                EXPECT_EQ(rig.call.fill(target, 0, 1, stream), CuResult::SUCCESS);
        });
        while (posted < 1000)
            std::this_thread::yield();
        rig.let_run();
        EXPECT_LT(posted, 1100);
        gate.open();
        poster.join();
        EXPECT_EQ(rig.call.stream_synchronize(stream), CuResult::SUCCESS);
    });
}

TEST(SimulatedStream, StreamsOfOneDevice_doNotWaitForEachOther) {
    on_gpus([](Rig& rig) {
        const Stream held = rig.stream(), other = rig.stream();
        Gate gate(rig, held);
        EXPECT_EQ(rig.call.fill(rig.device_bytes(1), 1, 1, other), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.stream_synchronize(other), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.stream_query(held), CuResult::NOT_READY);
        gate.open();
        EXPECT_EQ(rig.call.context_synchronize(), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.stream_query(held), CuResult::SUCCESS);
    });
}

TEST(SimulatedStream, DefaultStream_waitsForBlockingStreamsAlone) {
    on_gpus([](Rig& rig) {
        const Stream blocking = rig.stream(0), free = rig.stream();
        const Address target = rig.device_bytes(1);
        Gate free_gate(rig, free);
        EXPECT_EQ(rig.call.fill(target, 1, 1, nullptr), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.stream_synchronize(nullptr), CuResult::SUCCESS);

        Gate gate(rig, blocking);
        const Event after = rig.event();
        EXPECT_EQ(rig.call.event_record(after, nullptr), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.fill(target, 2, 1, rig.stream(0)), CuResult::SUCCESS);
        rig.let_run();
        EXPECT_EQ(rig.call.event_query(after), CuResult::NOT_READY);
        EXPECT_EQ(rig.call.stream_query(nullptr), CuResult::NOT_READY);
        gate.open();
        EXPECT_EQ(rig.call.event_synchronize(after), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.stream_query(free), CuResult::NOT_READY);
        free_gate.open();
    });
}

TEST(SimulatedStream, BlockingStream_waitsForTheDefaultStream) {
    on_gpus([](Rig& rig) {
        const Stream blocking = rig.stream(0);
        Gate gate(rig, nullptr);
        EXPECT_EQ(rig.call.fill(rig.device_bytes(1), 1, 1, blocking), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.fill(rig.device_bytes(1), 1, 1, rig.stream()), CuResult::SUCCESS);
        rig.let_run();
        EXPECT_EQ(rig.call.stream_query(blocking), CuResult::NOT_READY);
        gate.open();
        EXPECT_EQ(rig.call.stream_synchronize(blocking), CuResult::SUCCESS);
    });
}

TEST(SimulatedStream, Destroyed_finishesWhatWasQueued) {
    on_gpus([](Rig& rig) {
        const Stream stream = rig.stream();
        const Address target = rig.device_bytes(64);
        Gate gate(rig, stream);
        EXPECT_EQ(rig.call.fill(target, 'd', 64, stream), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.stream_destroy(stream), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.stream_query(stream), CuResult::INVALID_HANDLE);
        EXPECT_EQ(rig.call.stream_destroy(stream), CuResult::INVALID_HANDLE);
        gate.open();
        EXPECT_EQ(rig.call.context_synchronize(), CuResult::SUCCESS);
        EXPECT_EQ(rig.read(target, 64), std::string(64, 'd'));
    });
}

TEST(SimulatedStream, HostFunction_runsInOrderOnAnotherThreadAndMayNotCall) {
    struct Seen {
        const Rig& rig;
        std::thread::id thread;
        CuResult called = CuResult::SUCCESS;
    };
    on_gpus([](Rig& rig) {
        Seen seen = {rig, {}};
        const Stream stream = rig.stream();
        EXPECT_EQ(rig.call.stream_callback(
                      stream,
                      [](Stream, CuResult, void* argument) {
                          Seen& out = *static_cast<Seen*>(argument);
                          out.thread = std::this_thread::get_id();
                          out.called = out.rig.call.context_synchronize();
                      },
                      &seen, 0),
                  CuResult::SUCCESS);
        EXPECT_EQ(rig.call.stream_synchronize(stream), CuResult::SUCCESS);
        EXPECT_EQ(seen.called, CuResult::NOT_PERMITTED);
        EXPECT_NE(seen.thread, std::thread::id());
        EXPECT_NE(seen.thread, std::this_thread::get_id());
    });
}

} // namespace
} // namespace nixl::test
