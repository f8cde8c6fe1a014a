// SPDX-License-Identifier: Apache-2.0
// The CUDA driver, found at run time: loaded once per process, with a reason where it cannot be.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "platform/cuda_calls.h"

namespace nixl::core {

/// A loaded and initialised driver. Lives until the process ends: a driver cannot be unloaded.
///
/// Threads: any thread.
struct CudaDriver {
    cuda::Calls call{};
    int version = 0;      ///< 12040 is CUDA 12.4
    uint32_t devices = 0; ///< visible ones, at least 1
    bool simulated = false;

    /// "out of memory (CUDA_ERROR_OUT_OF_MEMORY)".
    [[nodiscard]] std::string text_of(cuda::CuResult result) const;
    /// "what: out of memory (CUDA_ERROR_OUT_OF_MEMORY)", with the number as detail.
    [[nodiscard]] Error error(cuda::CuResult result, std::string what) const;
};

/// NIXL_OK, NO_MEMORY for a device's memory, PERMISSION_DENIED, IO_ERROR for a device that is lost
/// or has faulted ...
[[nodiscard]] Code code_from_cuda(cuda::CuResult result) noexcept;

/// Whether no further call on this device can succeed in this process.
[[nodiscard]] bool is_device_lost(cuda::CuResult result) noexcept;

/// Whether it is refused because streams are being captured into a graph just now.
[[nodiscard]] constexpr bool is_of_capture(cuda::CuResult result) noexcept {
    return result >= cuda::CuResult::CAPTURE_UNSUPPORTED && result <= cuda::CuResult::CAPTURE_LAST;
}

/// What the settings say of GPUs.
struct GpuChoice {
    bool enabled = true;
    uint32_t simulated = 0; ///< GPUs that the simulated driver is to offer; 0: the machine's driver
};

/// The first call loads it, with cuInit() but no context; what it finds then stays.
/// Errors: UNSUPPORTED switched off, no driver, no GPU, none visible, a driver that is too old;
/// PERMISSION_DENIED the device files; INVALID_ARGUMENT another number of simulated GPUs than that
/// of this process.
Result<const CudaDriver*> cuda_driver(GpuChoice choice);

/// Whether the driver was opened before this process was forked, so that it cannot be used here.
[[nodiscard]] bool is_cuda_driver_inherited(GpuChoice choice) noexcept;

/// Why cuInit() or the count of devices came to nothing. `root` is "" but in tests, which lay out a
/// /dev there; `visible` is CUDA_VISIBLE_DEVICES where that may be the reason, or nullptr.
Error why_no_gpu(const std::string& root, const char* visible, const std::string& driver_says);

/// The context of a device, current on this thread while the object lives. Meanwhile its calls are
/// none that a capture of streams into a graph, by whatever thread, forbids or fails by: they
/// concern streams of the library's own.
class CudaScope {
  public:
    CudaScope(const CudaDriver& driver, cuda::Context context) noexcept : driver_(driver) {
        result = driver_.call.context_push(context);
        if (result == cuda::CuResult::SUCCESS)
            (void)driver_.call.capture_mode(&capture_mode_);
    }
    ~CudaScope() {
        cuda::Context popped = nullptr;
        if (result != cuda::CuResult::SUCCESS)
            return;
        (void)driver_.call.capture_mode(&capture_mode_);
        (void)driver_.call.context_pop(&popped);
    }
    CudaScope(const CudaScope&) = delete;
    CudaScope& operator=(const CudaScope&) = delete;

    cuda::CuResult result; ///< of making it current

  private:
    const CudaDriver& driver_;
    int capture_mode_ = cuda::CAPTURE_RELAXED; ///< that of the thread, while the object lives
};

} // namespace nixl::core
