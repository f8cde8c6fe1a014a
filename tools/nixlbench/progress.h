// SPDX-License-Identifier: Apache-2.0
// The line on standard error that shows how far a measurement is. Only on a terminal.
#pragma once

#include <cstdint>

#include "common/latencies.h"
#include "nixlbench/plan.h"

namespace nixl::tools {

class Progress {
  public:
    Progress(const Plan& plan, std::uint64_t bytes);
    ~Progress(); ///< takes the line away
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    void show(const Latencies& latencies, std::uint64_t elapsed_ns);

  private:
    const Plan& plan_;
    std::uint64_t bytes_;
    bool is_on_;
    bool is_shown_ = false;
    std::uint64_t last_ns_ = 0;
};

} // namespace nixl::tools
