// SPDX-License-Identifier: Apache-2.0
#include "common/machine.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/text.h"

namespace nixl::tools {

namespace {

/// The value of "key : value" or "key=value" in a file of such lines.
std::string value_in(const std::string& content, const std::string& key, char separator) {
    for (const std::string& line : split(content, '\n')) {
        const size_t at = line.find(separator);
        if (at != std::string::npos && trimmed(line.substr(0, at)) == key)
            return trimmed(line.substr(at + 1));
    }
    return "";
}

std::uint64_t kilobytes_in(const std::string& content, const std::string& key) {
    return std::strtoull(value_in(content, key, ':').c_str(), nullptr, 10) * 1024;
}

std::string system_name() {
    std::string name = value_in(whole_file("/etc/os-release"), "PRETTY_NAME", '=');
    name.erase(std::remove(name.begin(), name.end(), '"'), name.end());
    return name.empty() ? "Linux" : name;
}

unsigned usable_cpus() {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<unsigned>(CPU_COUNT(&set)) : 1;
}

unsigned numa_nodes() {
    unsigned count = 0;
    for (const std::string& name : names_in("/sys/devices/system/node"))
        count +=
            name.size() > 4 && name.compare(0, 4, "node") == 0 && name[4] >= '0' && name[4] <= '9';
    return std::max(1u, count);
}

} // namespace

std::string whole_file(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream content;
    content << file.rdbuf();
    return file ? content.str() : "";
}

std::string first_line(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return trimmed(line);
}

std::vector<std::string> names_in(const std::string& folder) {
    std::vector<std::string> names;
    std::error_code error;
    for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
         entry.increment(error))
        names.push_back(entry->path().filename());
    std::sort(names.begin(), names.end());
    return names;
}

Machine read_machine() {
    Machine machine;
    utsname names{};
    uname(&names);
    machine.host = names.nodename;
    machine.kernel = names.release;
    machine.architecture = names.machine;
    machine.system = system_name();
    const std::string cpuinfo = whole_file("/proc/cpuinfo");
    machine.cpu_model = value_in(cpuinfo, "model name", ':');
    if (machine.cpu_model.empty())
        machine.cpu_model = "unnamed " + machine.architecture + " CPU";
    machine.governor = first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    machine.cpus_online = static_cast<unsigned>(std::max(1l, sysconf(_SC_NPROCESSORS_ONLN)));
    machine.cpus_usable = usable_cpus();
    machine.numa_nodes = numa_nodes();
    const std::string meminfo = whole_file("/proc/meminfo");
    machine.memory_bytes = kilobytes_in(meminfo, "MemTotal");
    machine.available_bytes = kilobytes_in(meminfo, "MemAvailable");
    machine.page_bytes = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    machine.load = std::strtod(first_line("/proc/loadavg").c_str(), nullptr);
    return machine;
}

std::vector<BlockDevice> read_block_devices() {
    std::vector<BlockDevice> devices;
    for (const std::string& name : names_in("/sys/block")) {
        const std::string folder = "/sys/block/" + name;
        BlockDevice device;
        device.name = name;
        // In 512-byte units whatever the device's own sector is.
        device.bytes = std::strtoull(first_line(folder + "/size").c_str(), nullptr, 10) * 512;
        device.model = first_line(folder + "/device/model");
        device.rotational = first_line(folder + "/queue/rotational") == "1";
        if (device.bytes != 0)
            devices.push_back(device);
    }
    return devices;
}

std::vector<NetworkInterface> read_network_interfaces() {
    std::vector<NetworkInterface> interfaces;
    for (const std::string& name : names_in("/sys/class/net")) {
        const std::string folder = "/sys/class/net/" + name;
        NetworkInterface interface;
        interface.name = name;
        interface.state = first_line(folder + "/operstate");
        const std::string speed = first_line(folder + "/speed");
        interface.mbit_per_second = speed.empty() ? -1 : std::strtol(speed.c_str(), nullptr, 10);
        interfaces.push_back(interface);
    }
    return interfaces;
}

} // namespace nixl::tools
