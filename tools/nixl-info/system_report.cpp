// SPDX-License-Identifier: Apache-2.0
// Sections about the machine. Nothing here starts a driver or opens a device.
#include <nixl/machine.hpp>

#include "common/json_writer.h"
#include "common/machine.h"
#include "common/text.h"
#include "common/units.h"
#include "nixl-info/probes.h"
#include "nixl-info/sections.h"

namespace nixl::tools {

namespace {

std::string number(std::uint64_t value) { return std::to_string(value); }

std::string with_range(const Found& found, const char* supported) {
    return found.text + " (supported: " + supported + (found.outside ? "; this is outside" : "") +
           ")";
}

Section versions_section(const Machine& machine) {
    Section section{"versions", {}, ""};
    section.add("nixl", version());
    section.add("cuda_driver", with_range(cuda_version(), "CUDA 12.x, 13.x"));
    section.add("cuda_toolkit", cuda_toolkit_version());
    section.add("nvidia_driver", nvidia_driver_version());
    section.add("ucx", with_range(ucx_version(), "1.20.x"));
    section.add("python", with_range(python_version(), "3.8 and later"));
    section.add("system", machine.system);
    section.add("kernel", with_range(kernel_version(machine.kernel), "5.15 and later"));
    return section;
}

Section host_section(const Machine& machine) {
    Section section{"host", {}, ""};
    section.add("name", machine.host);
    section.add("architecture", machine.architecture);
    section.add("cpu", machine.cpu_model);
    section.add("cpus_online", number(machine.cpus_online), number(machine.cpus_online));
    section.add("cpus_usable", number(machine.cpus_usable), number(machine.cpus_usable));
    section.add("numa_nodes", number(machine.numa_nodes), number(machine.numa_nodes));
    section.add("governor", machine.governor.empty() ? "not visible" : machine.governor);
    section.add("memory", format_size(machine.memory_bytes), number(machine.memory_bytes));
    section.add("memory_available", format_size(machine.available_bytes),
                number(machine.available_bytes));
    std::uint64_t free_bytes = 0, total_bytes = 0;
    if (nixl_memory_figures(-1, &free_bytes, &total_bytes) == NIXL_OK)
        section.add("memory_limit", format_size(total_bytes) + " for this process",
                    number(total_bytes));
    section.add("page", format_size(machine.page_bytes), number(machine.page_bytes));
    return section;
}

Section devices_section() {
    Section section{"gpus_and_drivers", {}, ""};
    std::uint32_t count = 0;
    (void)nixl_device_count(&count);
    section.add("gpus_usable", number(count), number(count));
    section.add("nvidia_devices", device_files("nvidia"));
    section.add("gdrcopy", gdrcopy_state());
    section.add("gpudirect_storage", gds_state());
    section.add("rdma_devices", rdma_devices());
    return section;
}

Section block_section() {
    Section section{"block_devices", {}, ""};
    for (const BlockDevice& device : read_block_devices())
        section.add(device.name, format_size(device.bytes) +
                                     (device.rotational ? ", rotating" : ", solid") +
                                     (device.model.empty() ? "" : ", " + printable(device.model)));
    return section;
}

Section network_section() {
    Section section{"network_interfaces", {}, ""};
    for (const NetworkInterface& interface : read_network_interfaces()) {
        std::string text = interface.state.empty() ? "state not visible" : interface.state;
        if (interface.mbit_per_second > 0)
            text += format(", %ld Mbit/s", interface.mbit_per_second);
        section.add(interface.name, text);
    }
    return section;
}

} // namespace

void add_system(std::vector<Section>& sections) {
    const Machine machine = read_machine();
    sections.push_back(versions_section(machine));
    sections.push_back(host_section(machine));
    sections.push_back(devices_section());
    sections.push_back(block_section());
    sections.push_back(network_section());
}

} // namespace nixl::tools
