// SPDX-License-Identifier: Apache-2.0
// GPU memory of this process: allocating it, and finding out whose an address is.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/annotations.h"
#include "platform/cuda_devices.h"
#include "platform/cuda_mapping.h"
#include "platform/system.h"

namespace nixl::core {

/// Loads the driver at its first use. Kinds are NIXL_KIND_DEVICE and NIXL_KIND_MANAGED.
///
/// Threads: any thread.
class DeviceMemory {
  public:
    /// `shareable`: whether to map what is big enough, so that other processes can be let in.
    explicit DeviceMemory(GpuChoice choice, bool shareable = false)
        : choice_(choice), shareable_(shareable) {}

    /// `bytes`: at least 1. `device`: -1 is the first GPU; it is filled in.
    /// Errors: NO_MEMORY with the bytes asked for, free and in all; NOT_FOUND there is no such GPU;
    /// UNSUPPORTED there is no driver.
    Result<uintptr_t> allocate(uint64_t bytes, uint32_t kind, int32_t* device, bool cleared);
    /// Waits for what the GPU is doing, since some of it may use the memory.
    void free(uintptr_t address, int32_t device) noexcept EXCLUDES(mutex_);
    /// Fills it with zeros.
    Result<void> clear(uintptr_t address, uint64_t bytes, int32_t device);

    /// Fills in the device of a range that the program calls memory of this kind; where it gave
    /// one, it has to be that.
    /// Errors: INVALID_ARGUMENT it is other memory, of another GPU, or not all of one allocation.
    Result<void> check(uintptr_t address, uint64_t bytes, uint32_t kind, int32_t* device);

    /// Whether there is a GPU to allocate on.
    [[nodiscard]] bool any() noexcept;

    /// Whether this is memory that the CPU cannot touch.
    [[nodiscard]] bool hides(uintptr_t address) noexcept EXCLUDES(mutex_);

    /// What a GPU has and what is free of it.
    Result<MemoryFigures> figures(int32_t device);

  private:
    Result<CudaDevices*> devices() EXCLUDES(mutex_);
    cuda::CuResult take(const CudaDriver& driver, uint64_t bytes, uint32_t kind, int32_t device,
                        cuda::Address* out) EXCLUDES(mutex_);
    void give_back(const CudaDriver& driver, cuda::Address address) noexcept EXCLUDES(mutex_);

    const GpuChoice choice_;
    const bool shareable_;
    Mutex mutex_;
    std::unique_ptr<CudaDevices> devices_ GUARDED_BY(mutex_);
    std::map<cuda::Address, CudaMapping> mapped_ GUARDED_BY(mutex_); ///< by address
};

} // namespace nixl::core
