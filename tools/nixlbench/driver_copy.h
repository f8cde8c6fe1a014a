// SPDX-License-Identifier: Apache-2.0
// One copy of all bytes at once by the GPU's driver: what the link can do. Found at run time, in
// the driver that the library has loaded.
#pragma once

#include <cstdint>
#include <memory>

namespace nixl::tools {

class DriverCopy {
  public:
    /// `device`: of either end. nullptr where no driver is loaded, or it cannot do it.
    static std::unique_ptr<DriverCopy> open(int device);
    ~DriverCopy();
    DriverCopy(const DriverCopy&) = delete;
    DriverCopy& operator=(const DriverCopy&) = delete;

    /// Addresses of page-locked or pageable host memory, or of GPUs. Returns when the bytes are
    /// there; false when the driver refused.
    [[nodiscard]] bool copy(std::uint64_t target, std::uint64_t source, std::uint64_t bytes) const;

  private:
    struct Calls;
    DriverCopy();

    std::unique_ptr<Calls> calls_;
    int device_ = 0;
    void* context_ = nullptr;
    void* stream_ = nullptr;
};

} // namespace nixl::tools
