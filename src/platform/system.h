// SPDX-License-Identifier: Apache-2.0
// What this machine has: memory and CPUs. Read from the kernel's files, by no library. Control path
// only: every call opens files.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace nixl::core {

struct MemoryFigures {
    uint64_t total_bytes = 0;
    uint64_t free_bytes = 0; ///< what can be allocated without swapping
    bool limited = false;    ///< a control group allows less than the machine has
};

/// Threads: any thread, all of these. `root` is "" but in tests, which lay out a /proc and a /sys
/// there.

/// Within the limits of the control groups (version 1 and 2) that this process is in.
Result<MemoryFigures> host_memory(const std::string& root = "");

/// CPUs that this process may run on, at least 1. Follows the affinity mask.
[[nodiscard]] uint32_t usable_cpus() noexcept;

} // namespace nixl::core
