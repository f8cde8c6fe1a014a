// SPDX-License-Identifier: Apache-2.0
// What goes wrong on order, and what a fault leaves behind.
#include "rig.h"

#include <vector>

#include <dlfcn.h>

namespace nixl::test {
namespace {

TEST(SimulatedFault, Fault_comesBackFromEveryLaterCallOfItsContextAlone) {
    on_gpus([](Rig& rig) {
        const Stream stream = rig.stream();
        const Event event = rig.event();
        const Address target = rig.device_bytes(64);
        const auto ended = CuResult::LAUNCH_FAILED;
        EXPECT_EQ(rig.faults("copy@1"), 0);
        EXPECT_EQ(rig.call.fill(target, 1, 64, stream), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.stream_synchronize(stream), ended);

        Address more = 0;
        void* host = nullptr;
        Stream another = nullptr;
        EXPECT_EQ(rig.call.stream_query(stream), ended);
        EXPECT_EQ(rig.call.fill(target, 1, 64, stream), ended);
        EXPECT_EQ(rig.call.event_record(event, stream), ended);
        EXPECT_EQ(rig.call.event_query(event), ended);
        EXPECT_EQ(rig.call.memory_alloc(&more, 1), ended);
        EXPECT_EQ(rig.call.memory_free(target), ended);
        EXPECT_EQ(rig.call.host_alloc(&host, 1, 0), ended);
        EXPECT_EQ(rig.call.stream_create(&another, 0, 0), ended);
        EXPECT_EQ(rig.call.context_synchronize(), ended);
        EXPECT_EQ(rig.call.stream_destroy(stream), ended);

        const Current other(rig, rig.contexts[1]);
        EXPECT_EQ(rig.call.event_query(event), ended);
        EXPECT_EQ(rig.call.stream_wait_event(nullptr, event, 0), ended);
        EXPECT_EQ(rig.call.fill(rig.device_bytes(64), 1, 64, nullptr), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.context_synchronize(), CuResult::SUCCESS);
    });
}

TEST(SimulatedFault, WorkQueuedBehindOne_isDropped) {
    on_gpus([](Rig& rig) {
        const Stream stream = rig.stream(), other = rig.stream();
        const Event event = rig.event();
        void* host = nullptr;
        CuResult told = CuResult::SUCCESS;
        EXPECT_EQ(rig.call.host_alloc(&host, 1, 0), CuResult::SUCCESS);
        const auto address = reinterpret_cast<uintptr_t>(host);
        Gate gate(rig, stream);
        EXPECT_EQ(rig.faults("copy@1"), 0);
        EXPECT_EQ(rig.call.fill(address, 'b', 1, stream), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.fill(address, 'c', 1, stream), CuResult::SUCCESS);
        EXPECT_EQ(
            rig.call.stream_callback(
                stream,
                [](Stream, CuResult state, void* out) { *static_cast<CuResult*>(out) = state; },
                &told, 0),
            CuResult::SUCCESS);
        EXPECT_EQ(rig.call.event_record(event, stream), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.stream_wait_event(other, event, 0), CuResult::SUCCESS);
        gate.open();
        EXPECT_EQ(rig.call.event_synchronize(event), CuResult::LAUNCH_FAILED);
        EXPECT_EQ(*static_cast<char*>(host), 0);
        EXPECT_EQ(told, CuResult::LAUNCH_FAILED) << "callbacks are called all the same";
    });
}

TEST(SimulatedFault, LostDevice_isLostForContextsAndAllocationsToo) {
    on_gpus({{"NIXL_SIM_FAULTS", "lost@2"}}, [](Rig& rig) {
        const Address target = rig.device_bytes(64);
        const auto lost = CuResult::ECC_UNCORRECTABLE;
        EXPECT_EQ(rig.call.fill(target, 1, 64, nullptr), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.context_synchronize(), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.fill(target, 1, 64, nullptr), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.context_synchronize(), lost);
        Address more = 0;
        Context context = nullptr;
        Allocation made = 0;
        AllocationOptions options = {};
        options.type = options.location.type = 1;
        EXPECT_EQ(rig.call.memory_alloc(&more, 1), lost);
        EXPECT_EQ(rig.call.context_retain(&context, 0), lost);
        EXPECT_EQ(rig.call.map_create(&made, 2 << 20, &options, 0), lost);
        EXPECT_TRUE(core::is_device_lost(lost));
    });
}

TEST(SimulatedFault, Allocation_failsOnceAtItsTurn) {
    on_gpus([](Rig& rig) {
        Address address = 0;
        void* host = nullptr;
        EXPECT_EQ(rig.faults("oom@2"), 0);
        EXPECT_EQ(rig.call.memory_alloc(&address, 1), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.host_alloc(&host, 1, 0), CuResult::OUT_OF_MEMORY);
        EXPECT_EQ(rig.call.memory_alloc(&address, 1), CuResult::SUCCESS);
    });
}

TEST(SimulatedFault, Registration_failsOnceAtItsTurn) {
    on_gpus([](Rig& rig) {
        char memory[64] = {};
        EXPECT_EQ(rig.faults("register@1"), 0);
        EXPECT_EQ(rig.call.host_register(memory, 64, 0), CuResult::OUT_OF_MEMORY);
        EXPECT_EQ(rig.call.host_register(memory, 64, 0), CuResult::SUCCESS);
    });
}

TEST(SimulatedFault, Text_isReadWholeOrRefused) {
    on_gpus([](Rig& rig) {
        EXPECT_EQ(rig.faults("oom@3,copy@1,lost@2,slow=10,register@1"), 0);
        for (const char* const text : {"oom", "oom@", "oom@0", "oom@-1", "oom@1x", "oom@1,", ",",
                                       "x@1", "oom@1,oom@2", "slow@1", " oom@1"})
            EXPECT_EQ(rig.faults(text), -1) << text;
        EXPECT_EQ(rig.faults(""), 0);
        EXPECT_EQ(rig.call.fill(rig.device_bytes(1), 1, 1, nullptr), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.context_synchronize(), CuResult::SUCCESS);
    });
    EXPECT_NE(with_gpus({{"NIXL_SIM_FAULTS", "nonsense"}}, [](Rig&) {}), "");
}

TEST(SimulatedDriver, Calls_areCounted) {
    on_gpus([](Rig& rig) {
        void* const library = ::dlopen("libnixl-simcuda.so", RTLD_NOW | RTLD_NOLOAD);
        ASSERT_NE(library, nullptr);
        const auto calls = reinterpret_cast<long (*)()>(::dlsym(library, "nixl_simcuda_calls"));
        ASSERT_NE(calls, nullptr);
        const long before = calls();
        Context current = nullptr;
        EXPECT_EQ(rig.call.context_current(&current), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.memory_free(1), CuResult::INVALID_VALUE);
        EXPECT_EQ(calls(), before + 2);
    });
}

TEST(SimulatedDriver, Errors_haveTheDriversWords) {
    on_gpus([](Rig& rig) {
        EXPECT_EQ(rig.driver.text_of(CuResult::OUT_OF_MEMORY),
                  "out of memory (CUDA_ERROR_OUT_OF_MEMORY)");
        EXPECT_EQ(rig.driver.text_of(static_cast<CuResult>(12345)), "unknown error (12345)");
    });
}

} // namespace
} // namespace nixl::test
