// SPDX-License-Identifier: Apache-2.0
// What this machine is: memory, CPUs, NUMA nodes, kernel, system. Read from the kernel's files, by
// no library. Control path only: every call opens files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace nixl::core {

struct MemoryFigures {
    uint64_t total_bytes = 0;
    uint64_t free_bytes = 0; ///< what can be allocated without swapping
    bool limited = false;    ///< a control group allows less than the machine has
};

struct GpuPresence {
    uint32_t count = 0;
    std::string reason; ///< why there are none; empty when there are some
};

/// Threads: any thread, all of these. `root` is "" but in tests, which lay out a /proc and a /sys
/// there.

/// Within the limits of the control groups (version 1 and 2) that this process is in.
Result<MemoryFigures> host_memory(const std::string& root = "");

/// CPUs that this process may run on, at least 1. Follows the affinity mask.
[[nodiscard]] uint32_t usable_cpus() noexcept;

/// Numbers of the NUMA nodes that are online; {0} where the kernel does not say.
[[nodiscard]] std::vector<uint32_t> numa_nodes(const std::string& root = "");

/// "0-3,8" is {0, 1, 2, 3, 8}, as the kernel writes lists. Empty for anything else.
[[nodiscard]] std::vector<uint32_t> parse_number_list(std::string_view text);

/// "6.1.0-18-amd64"
[[nodiscard]] std::string kernel_release();
/// Whether a release is of this version or newer; false for what is no release.
[[nodiscard]] bool release_at_least(std::string_view release, uint32_t major, uint32_t minor);

/// "Debian GNU/Linux 12 (bookworm)"; "Linux" where the system does not say.
[[nodiscard]] std::string system_name(const std::string& root = "");

[[nodiscard]] uint64_t page_bytes() noexcept;

/// Without loading a driver.
[[nodiscard]] GpuPresence gpu_presence();

} // namespace nixl::core
