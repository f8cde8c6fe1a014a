// SPDX-License-Identifier: Apache-2.0
// HOT
// The copying kernels of one GPU, loaded.
#pragma once

#include <cstdint>

#include "kernels/walk.h"
#include "platform/cuda_driver.h"

namespace nixl::core::cuda {

/// Threads: load() one, before the others; launches any thread. The GPU's context is current in
/// every call.
class GpuKernels {
  public:
    /// Compiles them, which takes the driver some 100 ms the first time on a machine. On failure
    /// the GPU has none, or no bulk kernel, and the result says why.
    CuResult load(const CudaDriver& driver, Device device);
    /// When none of them runs any more.
    void unload() noexcept;

    [[nodiscard]] bool any() const noexcept { return plain_ != nullptr; }
    /// Copies within a budget of few multiprocessors at the speed of the link; for elements whose
    /// addresses and lengths are multiples of BulkShape::ALIGNMENT.
    [[nodiscard]] bool has_bulk() const noexcept { return bulk_ != nullptr; }
    /// Of the GPU.
    [[nodiscard]] uint32_t multiprocessors() const noexcept { return multiprocessors_; }
    /// Its compute capability: 90 is 9.0. None of the kernels runs below OLDEST.
    [[nodiscard]] int compute() const noexcept { return compute_; }
    static constexpr int OLDEST = 70;

    /// `budget`: multiprocessors to use at most; 0: all. The list is read at the call, what it
    /// points to when the kernel runs.
    CuResult launch_bulk(const CopyList& list, uint32_t budget, Stream stream) const noexcept;
    CuResult launch_plain(const CopyList& list, uint32_t budget, Stream stream) const noexcept;

  private:
    CuResult load_bulk(Device device);
    [[nodiscard]] unsigned blocks_for(const CopyList& list, uint32_t budget) const noexcept;

    const CudaDriver* driver_ = nullptr;
    Module modules_[2] = {};
    Function plain_ = nullptr;
    Function bulk_ = nullptr;
    uint32_t multiprocessors_ = 1;
    int compute_ = 0;
};

} // namespace nixl::core::cuda
