// SPDX-License-Identifier: Apache-2.0
// GPU memory that the library allocates: what can be handed to other processes, and how it ends.
// Over the simulated driver, or the machine's with NIXL_TEST_GPU.
#include "memory/device_memory.h"

#include <unistd.h>

#include <gtest/gtest.h>

#include "tests/support/gpu_memory.h"

namespace nixl::core {
namespace {

using cuda::Allocation;
using cuda::CuResult;
using cuda::PointerAttribute;
using test::test_driver;

constexpr uint64_t BYTES = (uint64_t{4} << 20) + 1, ROUNDED = uint64_t{6} << 20;

class GpuAllocations : public ::testing::Test {
  protected:
    void SetUp() override {
        if (const std::string refusal = test::gpu_refusal(); !refusal.empty())
            GTEST_SKIP() << refusal;
    }
    /// On the first GPU.
    static uintptr_t allocated(DeviceMemory& memory, uint64_t bytes) {
        int32_t device = 0;
        const auto made = memory.allocate(bytes, NIXL_KIND_DEVICE, &device, true);
        EXPECT_TRUE(made.ok()) << made.error().message;
        return made.ok() ? made.value() : 0;
    }
    /// A descriptor of it, or -1.
    static int exported(uintptr_t address) {
        const auto& call = test_driver().call;
        Allocation handle = 0;
        int descriptor = -1;
        if (call.map_retain(&handle, reinterpret_cast<void*>(address)) != CuResult::SUCCESS)
            return -1;
        EXPECT_EQ(call.map_export(&descriptor, handle, 1, 0), CuResult::SUCCESS);
        EXPECT_EQ(call.map_release(handle), CuResult::SUCCESS);
        return descriptor;
    }
    static uint64_t free_bytes(DeviceMemory& memory) {
        return memory.figures(0).value().free_bytes;
    }
};

TEST_F(GpuAllocations, BigOnes_canBeHandedOutFromBirth) {
    DeviceMemory memory(test::test_gpus(), true);
    const uint64_t before = free_bytes(memory);
    const uintptr_t address = allocated(memory, BYTES);
    const uint64_t held = free_bytes(memory);
    EXPECT_LE(held, before - ROUNDED);
    int32_t device = -1;
    EXPECT_TRUE(memory.check(address, BYTES, NIXL_KIND_DEVICE, &device).ok());
    EXPECT_EQ(device, 0);
    EXPECT_TRUE(memory.hides(address));
    const int descriptor = exported(address);
    EXPECT_GE(descriptor, 0);
    ::close(descriptor);
    memory.free(address, 0);
    EXPECT_GE(free_bytes(memory), held + ROUNDED);
}

TEST_F(GpuAllocations, SmallOnesAndThoseThatNeedNot_areTheDrivers) {
    DeviceMemory memory(test::test_gpus(), true), plain(test::test_gpus(), false);
    const uintptr_t small = allocated(memory, MAPPING_GRANULE - 1), big = allocated(plain, BYTES);
    EXPECT_EQ(exported(small), -1);
    EXPECT_EQ(exported(big), -1);
    memory.free(small, 0);
    plain.free(big, 0);
}

TEST_F(GpuAllocations, GpusThatWorkInTheProcess_areLetIn) {
    if (test_driver().devices < 2)
        GTEST_SKIP() << "needs two GPUs";
    const auto& call = test_driver().call;
    const test::GpuMemory there(BYTES, NIXL_KIND_DEVICE, 1); // its GPU works
    cuda::Context context = nullptr;
    ASSERT_EQ(call.context_retain(&context, 1), CuResult::SUCCESS);
    DeviceMemory memory(test::test_gpus(), true);
    const uintptr_t here = allocated(memory, BYTES);
    {
        const CudaScope scope(test_driver(), context);
        EXPECT_EQ(call.copy(there.address(), here, BYTES, nullptr), CuResult::SUCCESS);
        EXPECT_EQ(call.context_synchronize(), CuResult::SUCCESS);
    }
    EXPECT_EQ(there.read(BYTES - 1, 1), std::vector<unsigned char>(1, 0)) << "it was not cleared";
    memory.free(here, 0);
    (void)call.context_release(1);
}

// The driver unmaps memory under running work, which ends the context.
TEST_F(GpuAllocations, Free_waitsForTheWorkOfTheProgram) {
    const auto& call = test_driver().call;
    DeviceMemory memory(test::test_gpus(), true);
    const uintptr_t address = allocated(memory, BYTES);
    cuda::Context context = nullptr;
    ASSERT_EQ(call.context_retain(&context, 0), CuResult::SUCCESS);
    {
        const CudaScope scope(test_driver(), context);
        cuda::Stream stream = nullptr;
        ASSERT_EQ(call.stream_create(&stream, cuda::STREAM_NON_BLOCKING, 0), CuResult::SUCCESS);
        for (int i = 0; i < 64; ++i)
            ASSERT_EQ(call.fill(address, 1, BYTES, stream), CuResult::SUCCESS);
        memory.free(address, 0);
        EXPECT_EQ(call.stream_synchronize(stream), CuResult::SUCCESS);
        EXPECT_EQ(call.stream_destroy(stream), CuResult::SUCCESS);
    }
    (void)call.context_release(0);
}

TEST_F(GpuAllocations, WhatAnAddressIsNot_isToldInTheWordsOfMemory) {
    DeviceMemory memory(test::test_gpus(), true);
    const uintptr_t device_address = allocated(memory, BYTES);
    int32_t on_first = 0;
    const uintptr_t managed_address =
        memory.allocate(4096, NIXL_KIND_MANAGED, &on_first, false).value();
    const std::vector<char> host(64);
    const auto refused = [&](uintptr_t address, uint64_t bytes, uint32_t kind, int32_t device) {
        const auto checked = memory.check(address, bytes, kind, &device);
        EXPECT_FALSE(checked.ok());
        if (checked.ok())
            return std::string();
        EXPECT_EQ(checked.error().code, Code::INVALID_ARGUMENT);
        return checked.error().message;
    };
    const auto host_address = reinterpret_cast<uintptr_t>(host.data());
    EXPECT_EQ(refused(host_address, 64, NIXL_KIND_DEVICE, 0),
              "this address is host memory, not device");
    EXPECT_EQ(refused(managed_address, 64, NIXL_KIND_DEVICE, 0),
              "this address is managed memory, not device");
    EXPECT_EQ(refused(device_address, 64, NIXL_KIND_MANAGED, 0),
              "this address is device memory, not managed");
    EXPECT_EQ(refused(device_address, 64, NIXL_KIND_DEVICE, 1),
              "the memory is on GPU 0, not on GPU 1");
    EXPECT_NE(refused(device_address + 10, ROUNDED, NIXL_KIND_DEVICE, 0).find("ends beyond"),
              std::string::npos);
    EXPECT_TRUE(memory.hides(device_address + 10));
    EXPECT_FALSE(memory.hides(managed_address));
    EXPECT_FALSE(memory.hides(host_address));
    memory.free(managed_address, 0);
    memory.free(device_address, 0);
    EXPECT_EQ(refused(device_address, 64, NIXL_KIND_DEVICE, 0),
              "this address is host memory, not device")
        << "it was freed";
}

TEST_F(GpuAllocations, MoreThanThereIs_isToldInBytes) {
    DeviceMemory memory(test::test_gpus(), true);
    const uint64_t bytes = uint64_t{1} << 40;
    int32_t device = 0;
    const auto refused = memory.allocate(bytes, NIXL_KIND_DEVICE, &device, false);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, Code::NO_MEMORY);
    EXPECT_NE(refused.error().message.find("asked for " + std::to_string(bytes) + " bytes"),
              std::string::npos)
        << refused.error().message;
    const uintptr_t other = allocated(memory, BYTES);
    memory.free(other, 0);
}

} // namespace
} // namespace nixl::core
