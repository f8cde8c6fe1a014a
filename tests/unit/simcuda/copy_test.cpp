// SPDX-License-Identifier: Apache-2.0
// Copies: when host memory is read and written, and which ranges are refused.
#include "rig.h"

namespace nixl::test {
namespace {

TEST(SimulatedCopy, PageableMemory_isTakenOrFilledByTheTimeOfTheReturn) {
    on_gpus([](Rig& rig) {
        const Stream stream = rig.stream();
        const Address target = rig.device_bytes(1 << 20);
        for (const size_t bytes : {size_t{64}, size_t{1} << 20}) {
            std::string source(bytes, 'p');
            EXPECT_EQ(rig.call.copy_to_device(target, source.data(), bytes, stream),
                      CuResult::SUCCESS);
            source.assign(bytes, 'q');
            std::string back(bytes, '?');
            EXPECT_EQ(rig.call.copy_to_host(back.data(), target, bytes, stream), CuResult::SUCCESS);
            EXPECT_EQ(back, std::string(bytes, 'p'));
        }
    });
}

TEST(SimulatedCopy, RegisteredMemory_isReadWhenTheCopyRuns) {
    on_gpus([](Rig& rig) {
        const Stream stream = rig.stream();
        const Address target = rig.device_bytes(64);
        std::string source(64, 'p');
        EXPECT_EQ(rig.call.host_register(source.data(), 64, 0), CuResult::SUCCESS);
        Gate gate(rig, stream);
        EXPECT_EQ(rig.call.copy_to_device(target, source.data(), 64, stream), CuResult::SUCCESS);
        source.assign(64, 'q');
        gate.open();
        EXPECT_EQ(rig.call.stream_synchronize(stream), CuResult::SUCCESS);
        EXPECT_EQ(rig.read(target, 64), std::string(64, 'q'));
    });
}

TEST(SimulatedCopy, RangesThatTheCallCanCheck_areRefusedByIt) {
    on_gpus([](Rig& rig) {
        const Address target = rig.device_bytes(64), other = rig.device_bytes(1024);
        char host[128] = {};
        EXPECT_EQ(rig.call.fill(target, 0, 65, nullptr), CuResult::INVALID_VALUE);
        EXPECT_EQ(rig.call.copy(target + 1, other, 64, nullptr), CuResult::INVALID_VALUE);
        EXPECT_EQ(rig.call.copy_to_device(other, host, 1025, nullptr), CuResult::INVALID_VALUE);
        EXPECT_EQ(rig.call.copy_to_device(reinterpret_cast<uintptr_t>(host), host, 1, nullptr),
                  CuResult::INVALID_VALUE);
        EXPECT_EQ(rig.call.memory_free(target), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.copy(target, other, 8, nullptr), CuResult::INVALID_VALUE);
        EXPECT_EQ(rig.call.host_register(host + 64, 64, 0), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.copy_to_device(other, host, 128, nullptr),
                  CuResult::SUCCESS); // it begins in pageable memory
        EXPECT_EQ(rig.call.copy_to_device(other, host + 64, 65, nullptr),
                  CuResult::INVALID_VALUE); // it ends beyond what is registered
        EXPECT_EQ(rig.call.copy_to_device(other, host, 0, nullptr), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.context_synchronize(), CuResult::SUCCESS);
    });
}

TEST(SimulatedCopy, Batch_isWholeOrRefusedWithTheNumberOfTheCopy) {
    on_gpus([](Rig& rig) {
        const Stream stream = rig.stream();
        const Address source = rig.device_bytes(64), target = rig.device_bytes(64);
        EXPECT_EQ(rig.call.fill(source, 'b', 64, stream), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.fill(target, 'a', 64, stream), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.stream_synchronize(stream), CuResult::SUCCESS);
        Address targets[] = {target, target + 48}, sources[] = {source + 32, source};
        size_t bytes[] = {16, 17}, start = 0, failed = 0;
        core::cuda::CopyAttributes attributes{1, {}, {}, 0};
        const auto batch = [&](Stream on) {
            return rig.call.copy_batch(targets, sources, bytes, 2, &attributes, &start, 1, &failed,
                                       on);
        };
        EXPECT_EQ(batch(stream), CuResult::INVALID_VALUE);
        EXPECT_EQ(failed, 1u);
        EXPECT_EQ(rig.read(target, 64), std::string(64, 'a'));
        bytes[1] = 16;
        EXPECT_EQ(batch(nullptr), CuResult::INVALID_VALUE) << "the legacy default stream";
        EXPECT_EQ(batch(stream), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.stream_synchronize(stream), CuResult::SUCCESS);
        EXPECT_EQ(rig.read(target, 64),
                  std::string(16, 'b') + std::string(32, 'a') + std::string(16, 'b'));
    });
}

} // namespace
} // namespace nixl::test
