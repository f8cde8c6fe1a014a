// SPDX-License-Identifier: Apache-2.0
// Looks for what nixl can use beside itself: drivers, libraries, device files. Libraries are only
// asked for their version; no driver is initialised, so no GPU context is made.
#pragma once

#include <string>

namespace nixl::tools {

struct Found {
    std::string text;     ///< a version, or "not found"
    bool outside = false; ///< found, but not in the supported range
    bool there = false;
};

[[nodiscard]] Found cuda_version();
[[nodiscard]] Found ucx_version();
[[nodiscard]] Found python_version();
[[nodiscard]] Found kernel_version(const std::string& release);
[[nodiscard]] std::string cuda_toolkit_version();
[[nodiscard]] std::string nvidia_driver_version();

/// Names in /dev that start with `prefix`, or "none".
[[nodiscard]] std::string device_files(const std::string& prefix);
[[nodiscard]] bool has_nvidia_driver();
[[nodiscard]] bool can_load(const char* library);
[[nodiscard]] std::string gdrcopy_state();
[[nodiscard]] std::string gds_state();
[[nodiscard]] std::string rdma_devices();

} // namespace nixl::tools
