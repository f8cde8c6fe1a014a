// SPDX-License-Identifier: Apache-2.0
// What this machine is, read from the kernel's files. Missing files are empty answers, no errors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nixl::tools {

struct Machine {
    std::string host, kernel, architecture, system, cpu_model, governor;
    unsigned cpus_online = 0, cpus_usable = 0, numa_nodes = 0;
    std::uint64_t memory_bytes = 0, available_bytes = 0, page_bytes = 0;
    double load = 0; ///< runnable threads, mean of the last minute
};

struct BlockDevice {
    std::string name, model;
    std::uint64_t bytes = 0;
    bool rotational = false;
};

struct NetworkInterface {
    std::string name, state;
    long mbit_per_second = -1; ///< -1: the driver does not say
};

[[nodiscard]] Machine read_machine();
[[nodiscard]] std::vector<BlockDevice> read_block_devices();
[[nodiscard]] std::vector<NetworkInterface> read_network_interfaces();

/// First line without spaces around it; "" when the file cannot be read.
[[nodiscard]] std::string first_line(const std::string& path);
[[nodiscard]] std::string whole_file(const std::string& path);
/// Names in a folder but for . and .., sorted; empty when it cannot be read.
[[nodiscard]] std::vector<std::string> names_in(const std::string& folder);

} // namespace nixl::tools
