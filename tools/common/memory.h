// SPDX-License-Identifier: Apache-2.0
// Memory for measurements.
#pragma once

#include <cstdint>

namespace nixl::tools {

/// Anonymous memory on large pages where the system has them. Throws Failure.
class Memory {
  public:
    explicit Memory(std::uint64_t bytes);
    ~Memory();
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;

    [[nodiscard]] char* data() const { return data_; }

  private:
    char* data_;
    std::uint64_t bytes_;
};

} // namespace nixl::tools
