// SPDX-License-Identifier: Apache-2.0
#include "tests/support/gpu_memory.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace nixl::test {
namespace {

using core::CudaScope;
using core::cuda::CuResult;

void expect_success(CuResult result, const char* what) {
    EXPECT_EQ(static_cast<int>(result), 0) << what << ": " << test_driver().text_of(result);
}

/// Keeps the contexts, and lets the driver start the threads that it keeps per context, so that
/// tests which count threads see none come.
const core::CudaDriver& warmed(const core::CudaDriver& driver) {
    for (int device = 0; device < static_cast<int>(driver.devices); ++device) {
        core::cuda::Context context = nullptr;
        (void)driver.call.context_retain(&context, device);
        const CudaScope scope(driver, context);
        (void)driver.call.stream_callback(
            nullptr, [](core::cuda::Stream, CuResult, void*) {}, nullptr, 0);
        (void)driver.call.stream_synchronize(nullptr);
    }
    return driver;
}

} // namespace

core::GpuChoice test_gpus() { return {true, std::getenv("NIXL_TEST_GPU") != nullptr ? 0u : 2u}; }

std::vector<std::pair<std::string, std::string>> test_gpu_settings() {
    return {{"sim_gpus", std::to_string(test_gpus().simulated)}};
}

const core::CudaDriver& test_driver() {
    static const core::CudaDriver& driver = warmed(*core::cuda_driver(test_gpus()).value());
    return driver;
}

std::string gpu_refusal() {
    const auto driver = core::cuda_driver(test_gpus());
    return driver.ok() ? "" : driver.error().message;
}

void wait_for_gpus() {
    const auto& call = test_driver().call;
    for (int device = 0; device < static_cast<int>(test_driver().devices); ++device) {
        core::cuda::Context context = nullptr;
        expect_success(call.context_retain(&context, device), "context_retain");
        {
            const CudaScope scope(test_driver(), context);
            expect_success(call.context_synchronize(), "context_synchronize");
        }
        (void)call.context_release(device);
    }
}

GpuMemory::GpuMemory(uint64_t bytes, uint32_t kind, int device)
    : device_(device % static_cast<int>(test_driver().devices)) {
    const auto& call = test_driver().call;
    expect_success(call.context_retain(&context_, device_), "context_retain");
    const CudaScope scope(test_driver(), context_);
    expect_success(kind == NIXL_KIND_MANAGED ? call.managed_alloc(&address_, bytes, 1)
                                             : call.memory_alloc(&address_, bytes),
                   "allocating");
}

GpuMemory::~GpuMemory() {
    const auto& call = test_driver().call;
    {
        const CudaScope scope(test_driver(), context_);
        (void)call.memory_free(address_);
    }
    (void)call.context_release(device_);
}

void GpuMemory::write(uint64_t offset, const std::vector<unsigned char>& content) const {
    const auto& call = test_driver().call;
    const CudaScope scope(test_driver(), context_);
    if (content.empty())
        return;
    expect_success(call.copy_to_device(address_ + offset, content.data(), content.size(), nullptr),
                   "writing");
    expect_success(call.stream_synchronize(nullptr), "writing");
}

std::vector<unsigned char> GpuMemory::read(uint64_t offset, uint64_t bytes) const {
    const auto& call = test_driver().call;
    const CudaScope scope(test_driver(), context_);
    std::vector<unsigned char> content(bytes);
    if (bytes == 0)
        return content;
    expect_success(call.copy_to_host(content.data(), address_ + offset, bytes, nullptr), "reading");
    expect_success(call.stream_synchronize(nullptr), "reading");
    return content;
}

} // namespace nixl::test
