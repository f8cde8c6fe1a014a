// SPDX-License-Identifier: Apache-2.0
// What GPUs there are and how they are attached. No context is made.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "platform/cuda_driver.h"
#include "platform/nvml.h"

namespace nixl::core {

struct GpuFacts {
    int number = 0;
    std::string name, bus_id;
    uint32_t compute_major = 0, compute_minor = 0;
    uint32_t multiprocessors = 0;
    uint64_t bytes = 0;
    std::vector<int> peers; ///< GPUs whose memory it reaches without the host
    std::optional<GpuLinks> links;
    std::string why_no_links;
};

/// Control path: asks the driver, and for real GPUs NVML.
[[nodiscard]] std::vector<GpuFacts> gpu_facts(const CudaDriver& driver);

} // namespace nixl::core
