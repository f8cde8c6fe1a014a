// SPDX-License-Identifier: Apache-2.0
// GPU memory for tests, filled and read back through the driver: the simulated one, with two GPUs,
// or the machine's where NIXL_TEST_GPU is set.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "platform/cuda_driver.h"

namespace nixl::test {

[[nodiscard]] core::GpuChoice test_gpus();
/// The settings that make the library use the same.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> test_gpu_settings();
/// The driver; aborts where there is none, so ask gpu_refusal() before.
[[nodiscard]] const core::CudaDriver& test_driver();
/// Why there is none; "": there is.
[[nodiscard]] std::string gpu_refusal();

/// Until nothing is under way on any of them.
void wait_for_gpus();

/// Threads: one thread.
class GpuMemory {
  public:
    /// `device` counts round: a machine with one GPU has that one for every number.
    GpuMemory(uint64_t bytes, uint32_t kind, int device);
    ~GpuMemory();
    GpuMemory(const GpuMemory&) = delete;
    GpuMemory& operator=(const GpuMemory&) = delete;

    [[nodiscard]] uintptr_t address() const { return static_cast<uintptr_t>(address_); }
    [[nodiscard]] int device() const { return device_; }
    void write(uint64_t offset, const std::vector<unsigned char>& content) const;
    [[nodiscard]] std::vector<unsigned char> read(uint64_t offset, uint64_t bytes) const;

  private:
    int device_;
    core::cuda::Context context_ = nullptr;
    core::cuda::Address address_ = 0;
};

} // namespace nixl::test
