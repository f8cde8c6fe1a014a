// SPDX-License-Identifier: Apache-2.0
// Modules, and what kernels may touch.
#include "rig.h"

#include <vector>

namespace nixl::test {
namespace {

TEST(SimulatedKernel, Launched_runsWithTheParametersOfTheLaunch) {
    on_gpus([](Rig& rig) {
        const Stream stream = rig.stream();
        const Address target = rig.device_bytes(16);
        const Function fill = rig.fill_words();
        Gate gate(rig, stream);
        EXPECT_EQ(rig.launch_fill(fill, target, 0x61616161, 4, stream), CuResult::SUCCESS);
        gate.open();
        EXPECT_EQ(rig.call.stream_synchronize(stream), CuResult::SUCCESS);
        EXPECT_EQ(rig.read(target, 16), std::string(16, 'a'));
    });
}

TEST(SimulatedKernel, HostMemory_isReachedWhereRegistered) {
    on_gpus([](Rig& rig) {
        const Stream stream = rig.stream();
        std::vector<uint32_t> words(8);
        const auto address = reinterpret_cast<uintptr_t>(words.data());
        EXPECT_EQ(rig.call.host_register(words.data(), 32, HOST_DEVICE_MAP), CuResult::SUCCESS);
        EXPECT_EQ(rig.launch_fill(rig.fill_words(), address, 7, 8, stream), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.stream_synchronize(stream), CuResult::SUCCESS);
        EXPECT_EQ(words, std::vector<uint32_t>(8, 7));
        EXPECT_EQ(rig.call.host_unregister(words.data()), CuResult::SUCCESS);
        EXPECT_EQ(rig.launch_fill(rig.fill_words(), address, 8, 8, stream), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.stream_synchronize(stream), CuResult::ILLEGAL_ADDRESS);
        EXPECT_EQ(words, std::vector<uint32_t>(8, 7));
    });
}

TEST(SimulatedKernel, EndOfAnAllocation_isTheEndOfWhatItMayTouch) {
    on_gpus([](Rig& rig) {
        const Address target = rig.device_bytes(512);
        (void)rig.device_bytes(512); // lies behind it
        EXPECT_EQ(rig.launch_fill(rig.fill_words(), target, 7, 129, nullptr), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.context_synchronize(), CuResult::ILLEGAL_ADDRESS);
    });
}

TEST(SimulatedKernel, AnotherDevicesMemory_needsPeerAccessWhereCopiesDoNot) {
    on_gpus([](Rig& rig) {
        const Address here = rig.device_bytes(16);
        Address there = 0;
        {
            const Current other(rig, rig.contexts[1]);
            there = rig.device_bytes(16);
        }
        EXPECT_EQ(rig.call.copy(there, here, 16, nullptr), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.context_synchronize(), CuResult::SUCCESS);
        const Function fill = rig.fill_words();
        EXPECT_EQ(rig.call.peer_enable(rig.contexts[1], 0), CuResult::SUCCESS);
        EXPECT_EQ(rig.launch_fill(fill, there, 1, 4, nullptr), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.context_synchronize(), CuResult::SUCCESS);
        const Current other(rig, rig.contexts[1]); // which has no access back
        EXPECT_EQ(rig.launch_fill(rig.fill_words(), here, 1, 4, nullptr), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.context_synchronize(), CuResult::ILLEGAL_ADDRESS);
    });
}

TEST(SimulatedModule, WhatIsNoPtxOrNotInIt_isRefused) {
    on_gpus([](Rig& rig) {
        Module module = nullptr;
        Function function = nullptr;
        EXPECT_EQ(rig.call.module_load(&module, "ELF"), CuResult::INVALID_IMAGE);
        EXPECT_EQ(rig.call.module_load(&module, ".version 7.4\n"), CuResult::INVALID_IMAGE);
        EXPECT_EQ(rig.call.module_load(&module, PTX), CuResult::SUCCESS);
        for (const char* const name : {"nixl_sim_fill", "only_on_gpus", "absent"})
            EXPECT_EQ(rig.call.module_function(&function, module, name), CuResult::NOT_FOUND);
        EXPECT_EQ(rig.call.module_function(&function, module, "nixl_sim_fill_words"),
                  CuResult::SUCCESS);
        EXPECT_EQ(rig.call.module_unload(module), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.module_unload(module), CuResult::INVALID_HANDLE);
        EXPECT_EQ(rig.launch_fill(function, 0, 0, 0, nullptr), CuResult::INVALID_HANDLE);
    });
}

TEST(SimulatedModule, KernelThatTheTextLacks_isNotFound) {
    on_gpus([](Rig& rig) {
        Module module = nullptr;
        Function function = nullptr;
        EXPECT_EQ(rig.call.module_load(&module, ".version 7.4\n.target sm_80\n"),
                  CuResult::SUCCESS);
        EXPECT_EQ(rig.call.module_function(&function, module, "nixl_sim_fill_words"),
                  CuResult::NOT_FOUND);
    });
}

TEST(SimulatedKernel, LaunchesThatNoDeviceTakes_areRefused) {
    on_gpus([](Rig& rig) {
        const Function fill = rig.fill_words();
        Address target = rig.device_bytes(4);
        uint32_t value = 0, count = 1;
        void* parameters[] = {&target, &value, &count};
        const auto launch = [&](unsigned grid, unsigned block, unsigned shared) {
            return rig.call.launch(fill, grid, 1, 1, block, 1, 1, shared, nullptr, parameters,
                                   nullptr);
        };
        EXPECT_EQ(launch(0, 1, 0), CuResult::INVALID_VALUE);
        EXPECT_EQ(launch(1, 1025, 0), CuResult::INVALID_VALUE);
        EXPECT_EQ(launch(1, 1, 64 << 10), CuResult::INVALID_VALUE);
        const auto which = FunctionAttribute::MAX_DYNAMIC_SHARED_BYTES;
        EXPECT_EQ(rig.call.function_set(fill, which, (227 << 10) + 1), CuResult::INVALID_VALUE);
        EXPECT_EQ(rig.call.function_set(fill, which, 64 << 10), CuResult::SUCCESS);
        EXPECT_EQ(launch(1, 1024, 64 << 10), CuResult::SUCCESS);
        const Current other(rig, rig.contexts[1]);
        EXPECT_EQ(launch(1, 1, 0), CuResult::INVALID_HANDLE);
    });
}

} // namespace
} // namespace nixl::test
