// SPDX-License-Identifier: Apache-2.0
// The cuda backend while the program captures streams into a graph, which forbids many calls to all
// of its threads. Over the simulated driver, or the machine's with NIXL_TEST_GPU.
#include "tests/unit/backends/cuda_rig.h"

namespace nixl::test::host_queues {
namespace {

using core::cuda::Stream;

constexpr uint64_t BYTES = 1 << 20;

/// A capture in the mode that forbids the most, which is PyTorch's.
class Capture {
  public:
    Capture() {
        const auto& call = test_driver().call;
        EXPECT_EQ(call.context_retain(&context_, 0), CuResult::SUCCESS);
        EXPECT_EQ(call.context_push(context_), CuResult::SUCCESS);
        EXPECT_EQ(call.stream_create(&stream_, core::cuda::STREAM_NON_BLOCKING, 0),
                  CuResult::SUCCESS);
        EXPECT_EQ(call.capture_begin(stream_, 0), CuResult::SUCCESS);
    }
    ~Capture() {
        const auto& call = test_driver().call;
        void* graph = nullptr;
        EXPECT_EQ(call.capture_end(stream_, &graph), CuResult::SUCCESS) << "it was disturbed";
        EXPECT_EQ(call.stream_destroy(stream_), CuResult::SUCCESS);
        EXPECT_EQ(call.context_pop(&context_), CuResult::SUCCESS);
        (void)call.context_release(0);
    }
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;
    [[nodiscard]] Stream stream() const { return stream_; }

  private:
    Context context_ = nullptr;
    Stream stream_ = nullptr;
};

class CudaCapture : public CudaBackend {
  protected:
    void SetUp() override {
        CudaBackend::SetUp();
        if (instance != nullptr && test_driver().call.capture_begin == nullptr)
            GTEST_SKIP() << "this driver has no captures";
    }
};

TEST_F(CudaCapture, TransfersOfAnyThread_goOnAndDisturbNothing) {
    const Bytes content = random_bytes(BYTES, 1);
    const GpuMemory memory(BYTES, NIXL_KIND_DEVICE, 0);
    const nixl_region source = pinned(content, 0, BYTES), target = on_gpu(memory, BYTES);
    {
        const Capture capture;
        EXPECT_EQ(copy(source, target, BYTES), NIXL_OK);
        std::thread other([&] { EXPECT_EQ(copy(source, target, BYTES / 2), NIXL_OK); });
        other.join();
    }
    EXPECT_EQ(memory.read(0, BYTES), content);
    EXPECT_EQ(copy(source, target, BYTES), NIXL_OK) << "the GPU counts as lost";
}

TEST_F(CudaCapture, JoiningTheStream_isRefused) {
    const Bytes content = random_bytes(BYTES, 2);
    const GpuMemory memory(BYTES, NIXL_KIND_DEVICE, 0);
    const nixl_region source = pinned(content, 0, BYTES), target = on_gpu(memory, BYTES);
    {
        const Capture capture;
        EXPECT_EQ(copy(source, target, BYTES, capture.stream()), NIXL_UNSUPPORTED);
    }
    EXPECT_EQ(copy(source, target, BYTES), NIXL_OK);
}

} // namespace
} // namespace nixl::test::host_queues
