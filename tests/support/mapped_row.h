// SPDX-License-Identifier: Apache-2.0
// GPU memory that is mapped piece by piece, for tests.
#pragma once

#include <cstdint>
#include <vector>

#include "platform/cuda_driver.h"

namespace nixl::test {

/// Physical memory of one GPU, mapped in parts side by side. Behind them one part's addresses are
/// reserved and have no memory.
///
/// Threads: one thread.
class MappedRow {
  public:
    static constexpr uint64_t PART = uint64_t{2} << 20; ///< bytes; the granule of all GPUs so far

    /// `reader`: the only GPU that may touch it; -1: its own.
    MappedRow(int device, unsigned parts, int reader = -1);
    ~MappedRow();
    MappedRow(const MappedRow&) = delete;
    MappedRow& operator=(const MappedRow&) = delete;

    [[nodiscard]] uintptr_t address() const { return static_cast<uintptr_t>(address_); }
    void unmap(unsigned part);
    /// From the start on. Every part that is touched is there.
    void write(const std::vector<unsigned char>& content) const;
    /// All of it.
    [[nodiscard]] std::vector<unsigned char> read() const;

  private:
    [[nodiscard]] uint64_t reserved() const { return (is_mapped_.size() + 1) * PART; }

    const int device_;
    core::cuda::Context context_ = nullptr;
    core::cuda::Address address_ = 0;
    std::vector<bool> is_mapped_; ///< by part
};

} // namespace nixl::test
