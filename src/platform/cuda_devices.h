// SPDX-License-Identifier: Apache-2.0
// The contexts of the GPUs that one user of the driver works with.
#pragma once

#include <map>

#include "base/annotations.h"
#include "base/status.h"
#include "platform/cuda_driver.h"

namespace nixl::core {

/// Primary contexts, which every library of the process shares. Each is created at its first use
/// and kept until the end of this object.
///
/// Threads: any thread.
class CudaDevices {
  public:
    explicit CudaDevices(const CudaDriver& driver) : driver_(driver) {}
    ~CudaDevices();
    CudaDevices(const CudaDevices&) = delete;
    CudaDevices& operator=(const CudaDevices&) = delete;

    [[nodiscard]] const CudaDriver& driver() const noexcept { return driver_; }

    /// Errors: NOT_FOUND there is no such GPU; the driver's.
    Result<cuda::Context> context(int number) EXCLUDES(mutex_);

  private:
    const CudaDriver& driver_;
    Mutex mutex_;
    std::map<int, cuda::Context> contexts_ GUARDED_BY(mutex_);
};

} // namespace nixl::core
