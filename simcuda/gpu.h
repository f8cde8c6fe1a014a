// SPDX-License-Identifier: Apache-2.0
// One simulated GPU with its primary context.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "heap.h"
#include "platform/cuda_calls.h"

namespace nixl::simcuda {

struct Queue;

constexpr int MOST_GPUS = 64; // bits of a mask

/// Guarded by the driver's mutex, but for what never changes.
struct Gpu {
    int ordinal = 0;        ///< among the visible ones; never changes
    int index = 0;          ///< of the machine; never changes
    size_t total_bytes = 0; ///< never changes
    int compute = 0;        ///< compute capability, 90 is 9.0; never changes
    size_t used_bytes = 0;
    std::optional<Heap> heap; ///< since the first context

    /// What ended the context. It stays for the process, as with the real driver, even when the
    /// context is made anew.
    core::cuda::CuResult fault = core::cuda::CuResult::SUCCESS;
    unsigned retained = 0;
    core::cuda::Context context = nullptr;      ///< while retained
    uint64_t peers = 0;                         ///< whose memory kernels may touch, by ordinal
    uint64_t let_in = 0;                        ///< others that its pool is open to, by ordinal
    std::shared_ptr<Queue> default_queue;       ///< the legacy default stream, since its first use
    std::vector<std::shared_ptr<Queue>> queues; ///< all with a handle or with work

    [[nodiscard]] uint64_t bit() const { return uint64_t{1} << ordinal; }
    [[nodiscard]] bool is_lost() const { return fault == core::cuda::CuResult::ECC_UNCORRECTABLE; }
};

/// A part of a GPU's memory that is in use, given back with the object.
class Charge {
  public:
    Charge() = default;
    Charge(Charge&& other) noexcept
        : gpu_(std::exchange(other.gpu_, nullptr)), bytes_(other.bytes_) {}
    Charge& operator=(Charge&& other) noexcept {
        std::swap(gpu_, other.gpu_);
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    ~Charge() {
        if (gpu_ != nullptr)
            gpu_->used_bytes -= bytes_;
    }
    /// Nothing when the GPU has less left.
    static std::optional<Charge> of(Gpu& gpu, size_t bytes) {
        if (bytes > gpu.total_bytes - gpu.used_bytes)
            return std::nullopt;
        gpu.used_bytes += bytes;
        return Charge(gpu, bytes);
    }

  private:
    Charge(Gpu& gpu, size_t bytes) : gpu_(&gpu), bytes_(bytes) {}

    Gpu* gpu_ = nullptr;
    size_t bytes_ = 0;
};

} // namespace nixl::simcuda
