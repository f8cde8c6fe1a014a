// SPDX-License-Identifier: Apache-2.0
// How GPUs are attached, asked of NVML, NVIDIA's management library, which is found at run time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"

namespace nixl::core {

/// Of one GPU; 0 is not told. An idle link goes to a lower generation, never to fewer lanes.
struct GpuLinks {
    uint32_t pcie_generation = 0, most_pcie_generation = 0;
    uint32_t pcie_width = 0, most_pcie_width = 0; ///< lanes
    uint32_t nvlinks = 0;                         ///< that are up
};

/// Threads: any thread.
class Nvml {
  public:
    /// Errors: UNSUPPORTED it is not installed, lacks a function, or does not start.
    static Result<std::unique_ptr<Nvml>> open(const char* library = "libnvidia-ml.so.1");
    ~Nvml();
    Nvml(const Nvml&) = delete;
    Nvml& operator=(const Nvml&) = delete;

    /// `bus_id`: as the driver writes it, "0000:1B:00.0".
    Result<GpuLinks> links_of(const std::string& bus_id) const;

  private:
    struct Calls;
    Nvml();

    std::unique_ptr<Calls> calls_;
};

} // namespace nixl::core
