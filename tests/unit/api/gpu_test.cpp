// SPDX-License-Identifier: Apache-2.0
// GPU memory from C++, on simulated GPUs. In a process of its own: the driver stays as it was first
// loaded.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nixl/nixl.h>

namespace {

using nixl::Buffer;
using nixl::MemoryType;

class ApiOnGpu : public testing::Test {
  protected:
    ApiOnGpu() {
        nixl::Config config;
        config.settings = {{"sim_gpus", "2"}, {"path_policy", "allow"}};
        nixl::initialize(config);
    }
    ~ApiOnGpu() override { nixl::finalize(); }

    std::vector<unsigned char> source_ = std::vector<unsigned char>(3'000'001, 7);
    std::vector<unsigned char> target_ = std::vector<unsigned char>(3'000'001, 0);
};

// Proves: S-155 S-156 S-157
TEST_F(ApiOnGpu, MemoryOfEveryType_isAnEndOfTransfers) {
    const MemoryType types[] = {MemoryType::HOST, MemoryType::HOST_PINNED, MemoryType::DEVICE,
                                MemoryType::MANAGED};
    for (const MemoryType first : types)
        for (const MemoryType second : types) {
            source_[0] = static_cast<unsigned char>(source_[0] + 1);
            std::fill(target_.begin(), target_.end(), 0);
            const Buffer host = Buffer::from_host(source_.data(), source_.size());
            const Buffer back =
                Buffer::from_host(target_.data(), target_.size(), MemoryType::HOST_PINNED);
            const Buffer a = Buffer::allocate(source_.size(), first, 0);
            const Buffer b = Buffer::allocate(source_.size(), second, 1);
            EXPECT_EQ(a.type(), first);
            nixl::transfer(host, a);
            nixl::transfer(a, b);
            nixl::transfer(b, back);
            EXPECT_EQ(target_, source_)
                << static_cast<int>(first) << " to " << static_cast<int>(second);
        }
}

// Proves: S-156
TEST_F(ApiOnGpu, NewDeviceMemory_isZeroed) {
    const Buffer gpu = Buffer::allocate(target_.size(), MemoryType::DEVICE, 1);
    std::fill(target_.begin(), target_.end(), 1);
    nixl::transfer(gpu, Buffer::from_host(target_.data(), target_.size()));
    EXPECT_EQ(target_, std::vector<unsigned char>(target_.size(), 0));
}

// Proves: S-156
TEST_F(ApiOnGpu, GpuThatIsNotThere_isNamed) {
    try {
        Buffer::allocate(1024, MemoryType::DEVICE, 7);
        FAIL() << "memory of GPU 7";
    } catch (const nixl::NIXLException& error) {
        EXPECT_EQ(error.code(), nixl::Code::NOT_FOUND);
        EXPECT_NE(std::string(error.what()).find("GPU 7"), std::string::npos) << error.what();
    }
}

// Proves: S-155
TEST_F(ApiOnGpu, AddressesThatAreNotWhatTheyAreCalled_areRefused) {
    const Buffer gpu = Buffer::allocate(4096, MemoryType::DEVICE, 0);
    for (const auto& [address, type] :
         {std::pair<void*, MemoryType>(source_.data(), MemoryType::DEVICE),
          std::pair<void*, MemoryType>(source_.data(), MemoryType::MANAGED),
          std::pair<void*, MemoryType>(gpu.data(), MemoryType::HOST),
          std::pair<void*, MemoryType>(gpu.data(), MemoryType::HOST_PINNED)}) {
        try {
            Buffer::from_host(address, 64, type);
            ADD_FAILURE() << "it was taken for " << static_cast<int>(type);
        } catch (const nixl::NIXLException& error) {
            EXPECT_EQ(error.code(), nixl::Code::INVALID_ARGUMENT) << error.what();
        }
    }
    const Buffer same = Buffer::from_host(gpu.data(), 64, MemoryType::DEVICE);
    nixl::transfer(Buffer::from_host(source_.data(), 64), same);
    nixl::transfer(gpu, Buffer::from_host(target_.data(), 4096));
    EXPECT_TRUE(std::equal(target_.begin(), target_.begin() + 64, source_.begin()));
}

// Proves: S-156 C-43
TEST_F(ApiOnGpu, BuffersThatOutliveTheLibrary_areDestroyedInPeace) {
    Buffer device = Buffer::allocate(4 << 20, MemoryType::DEVICE, 0);
    Buffer managed = Buffer::allocate(4 << 20, MemoryType::MANAGED, 1);
    nixl::transfer(device, managed);
    nixl::finalize();
    { const Buffer ended = std::move(device); }
    EXPECT_EQ(nixl::Buffer::allocate(16, MemoryType::HOST).size(), 16u) << "it opens anew";
}

} // namespace
