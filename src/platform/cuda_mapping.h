// SPDX-License-Identifier: Apache-2.0
// GPU memory that is mapped: physical memory with a handle of its own, which other processes can be
// given as a file descriptor for as long as the memory lives.
#pragma once

#include <cstdint>

#include "platform/cuda_driver.h"

namespace nixl::core {

/// Less is rounded up to it, as cuMemAlloc() does from half of it on.
inline constexpr uint64_t MAPPING_GRANULE = uint64_t{2} << 20; // bytes

struct CudaMapping {
    cuda::Address address = 0;
    uint64_t bytes = 0; ///< whole granules
};

/// Whether this GPU can map memory and hand it out by descriptor, and nothing is lost by it: the
/// driver tells mappings apart, and all visible GPUs have a way to each other. (Between two that
/// have none, the driver carries memory of cuMemAlloc() through the host's, and refuses mappings.)
/// Needs no context.
[[nodiscard]] bool can_map(const CudaDriver& driver, cuda::Device device) noexcept;

/// Maps new memory of at least `bytes`, whose content is anything. This GPU may touch it, and those
/// of the others that work in this process now, if they can be let in, as with cuMemAlloc(); more
/// can be later (cuMemSetAccess). Threads: any.
[[nodiscard]] cuda::CuResult map_memory(const CudaDriver& driver, cuda::Device device,
                                        uint64_t bytes, CudaMapping* out);

/// Waits for all GPUs that work in this process, since any may use it; the driver does not wait.
void unmap_memory(const CudaDriver& driver, const CudaMapping& mapping) noexcept;

} // namespace nixl::core
