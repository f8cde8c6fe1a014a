// SPDX-License-Identifier: Apache-2.0
// One leg of the demo: the same bytes by nixl and by plain calls, in turns.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <nixl/prepared.hpp>

#include "common/crew.h"

namespace nixl::tools {

/// Moves `bytes` from `offset` on within the window; the part of one thread of the raw baseline.
using RawMove = std::function<void(std::uint64_t offset, std::uint64_t bytes)>;

class Leg {
  public:
    Leg(std::string name, std::string raw_call) : name_(std::move(name)), raw_call_(raw_call) {}

    /// Moves one window `turns` times by each way; nixl last. `before` runs, not timed, before each
    /// of nixl's. Without `raw` there is no baseline: of GPUs plain calls know nothing. Throws
    /// NIXLException.
    void move_window(const nixl::Buffer& source, std::uint64_t source_offset,
                     const nixl::Buffer& target, std::uint64_t target_offset, std::uint64_t bytes,
                     unsigned turns, Crew& crew, const RawMove& raw,
                     const std::function<void()>& before);

    [[nodiscard]] bool is_simulated() const { return is_simulated_; }

    /// "file -> host   posix   5.1 GB/s   ..."
    [[nodiscard]] std::string line() const;
    [[nodiscard]] static std::string heading();

  private:
    std::string name_, raw_call_, path_;
    std::uint64_t bytes_ = 0;
    double ours_ns_ = 0, raw_ns_[2] = {0, 0}; // one thread, all of the crew
    unsigned crew_threads_ = 1;
    bool is_simulated_ = false;
};

} // namespace nixl::tools
