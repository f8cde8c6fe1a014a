// SPDX-License-Identifier: Apache-2.0
// HOT
// The lines of one queue: a stream for each GPU and each way that bytes go.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "choice.h"
#include "line.h"

namespace nixl::core::cuda {

/// Threads: the queue's driver.
class Lines {
  public:
    /// Opens the line at its first use. What is returned stays until the end.
    CuResult get(Gpu& gpu, Way way, Line** out) noexcept {
        Line* const line = lines_[place(gpu, way)].get();
        *out = line;
        return line != nullptr ? CuResult::SUCCESS : open(gpu, way, out);
    }

    [[nodiscard]] Line** begin() noexcept { return opened_.data(); }
    [[nodiscard]] Line** end() noexcept { return opened_.data() + count_; }

  private:
    static constexpr uint32_t WAYS = 4;
    static uint32_t place(const Gpu& gpu, Way way) noexcept {
        return static_cast<uint32_t>(gpu.number) * WAYS + static_cast<uint32_t>(way);
    }
    CuResult open(Gpu& gpu, Way way, Line** out) noexcept;

    std::array<std::unique_ptr<Line>, WAYS * Gpus::MAX_GPUS> lines_;
    std::array<Line*, WAYS * Gpus::MAX_GPUS> opened_{};
    uint32_t count_ = 0;
};

} // namespace nixl::core::cuda
