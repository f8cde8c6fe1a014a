// SPDX-License-Identifier: Apache-2.0
#include "nixl-info/checks.h"

#include <cerrno>
#include <cstring>

#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <nixl/nixl.h>

#include "common/json_reader.h"
#include "common/machine.h"
#include "common/scratch_file.h"
#include "common/text.h"
#include "common/units.h"
#include "nixl-info/probes.h"

namespace nixl::tools {

namespace {

using Findings = std::vector<Finding>;
using enum Verdict;

constexpr std::uint64_t MB = 1 << 20, GB = 1 << 30;

void check_kernel(Findings& out) {
    const Machine machine = read_machine();
    const bool old = kernel_version(machine.kernel).outside;
    out.push_back(
        {old ? WARN : PASS, "kernel", machine.kernel, old ? "5.15 or later is recommended" : ""});
    if (machine.governor.empty())
        out.push_back({SKIP, "CPU governor", "not visible, as in most virtual machines", ""});
    else if (machine.governor == "performance")
        out.push_back({PASS, "CPU governor", machine.governor, ""});
    else
        out.push_back({WARN, "CPU governor", machine.governor + ": latencies vary",
                       "cpupower frequency-set -g performance"});
    const bool busy = machine.load > machine.cpus_usable;
    out.push_back({busy ? WARN : PASS, "load",
                   format("%.1f on %u CPUs", machine.load, machine.cpus_usable),
                   busy ? "measure when the machine is idle" : ""});
    const bool balancing = first_line("/proc/sys/kernel/numa_balancing") == "1";
    if (machine.numa_nodes < 2)
        out.push_back({SKIP, "NUMA balancing", "one node", ""});
    else
        out.push_back({balancing ? WARN : PASS, "NUMA balancing", balancing ? "on" : "off",
                       balancing ? "sysctl kernel.numa_balancing=0" : ""});
}

/// "intel_idle" and its like let cores sleep deeply; waking up takes tens of microseconds.
void check_sleep_states(Findings& out) {
    const std::string folder = "/sys/devices/system/cpu/cpu0/cpuidle";
    std::string deepest;
    long deepest_us = 0;
    for (const std::string& state : names_in(folder)) {
        const std::string path = folder + "/" + state;
        const long us = std::strtol(first_line(path + "/latency").c_str(), nullptr, 10);
        if (first_line(path + "/disable") != "1" && us > deepest_us) {
            deepest_us = us;
            deepest = first_line(path + "/name");
        }
    }
    if (deepest.empty()) {
        out.push_back({SKIP, "CPU sleep states", "none visible", ""});
        return;
    }
    const bool deep = deepest_us > 50;
    out.push_back({deep ? WARN : PASS, "CPU sleep states",
                   deepest + format(", %ld us to wake up", deepest_us),
                   deep ? "cpupower idle-set -D 50" : ""});
}

void check_limits(Findings& out) {
    rlimit limit{};
    getrlimit(RLIMIT_MEMLOCK, &limit);
    const bool endless = limit.rlim_cur == RLIM_INFINITY;
    const bool locks = endless || limit.rlim_cur >= 64 * MB || geteuid() == 0;
    out.push_back({locks ? PASS : WARN, "locked memory",
                   (endless ? "unlimited" : format_size(limit.rlim_cur)) +
                       (geteuid() == 0 && !endless ? " (root is not limited)" : ""),
                   locks ? "" : "ulimit -l unlimited, or memlock in /etc/security/limits.conf"});
    getrlimit(RLIMIT_NOFILE, &limit);
    const bool files = limit.rlim_cur >= 1024;
    out.push_back({files ? PASS : WARN, "open files", format_size(limit.rlim_cur),
                   files ? "" : "ulimit -n 65536"});
    out.back().text =
        limit.rlim_cur == RLIM_INFINITY ? "unlimited" : std::to_string(limit.rlim_cur);
}

void check_io_uring(Findings& out) {
    char parameters[120] = {}; // struct io_uring_params of every kernel
    const long ring = syscall(__NR_io_uring_setup, 1, parameters);
    if (ring >= 0) {
        close(static_cast<int>(ring));
        out.push_back({PASS, "io_uring", "permitted", ""});
    } else if (errno == ENOSYS) {
        out.push_back({WARN, "io_uring", "not in this kernel: files use threads", "kernel 5.15"});
    } else {
        out.push_back({WARN, "io_uring",
                       std::string("refused: ") + std::strerror(errno) + ": files use threads",
                       "sysctl kernel.io_uring_disabled=0, or allow it in the container's seccomp "
                       "profile"});
    }
}

void check_memory(Findings& out) {
    struct statvfs shared {};
    if (statvfs("/dev/shm", &shared) != 0) {
        out.push_back({WARN, "/dev/shm", "not there: processes cannot share memory by it",
                       "mount -t tmpfs tmpfs /dev/shm"});
    } else {
        const std::uint64_t bytes = std::uint64_t(shared.f_blocks) * shared.f_frsize;
        out.push_back({bytes < GB ? WARN : PASS, "/dev/shm", format_size(bytes),
                       bytes < GB ? "docker run --shm-size=8g" : ""});
    }
    const std::string pages = first_line("/sys/kernel/mm/transparent_hugepage/enabled");
    const bool never = pages.find("[never]") != std::string::npos || pages.empty();
    out.push_back({never ? WARN : PASS, "huge pages", pages.empty() ? "not visible" : pages,
                   never ? "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled" : ""});
    const std::uint64_t free_bytes = get_free_memory();
    out.push_back({free_bytes < GB ? WARN : PASS, "free memory", format_size(free_bytes),
                   free_bytes < GB ? "end other programs, or raise the container's limit" : ""});
}

void check_temporary_folder(Findings& out) {
    const std::string folder = temporary_folder();
    try {
        const ScratchFile file(folder, 4096);
        out.push_back({PASS, "temporary files",
                       folder + ", " + format_size(free_disk_bytes(folder)) + " free", ""});
    } catch (const std::exception& error) {
        out.push_back({FAIL, "temporary files", error.what(), "set TMPDIR to a writable folder"});
    }
}

/// Of a part that is a kernel module and a library; neither is fine without a GPU.
void check_pair(Findings& out, const char* subject, const std::string& state) {
    const bool ready = state.compare(0, 5, "ready") == 0, none = state == "not found";
    if (none && !has_nvidia_driver())
        out.push_back({SKIP, subject, "not found; of use with a GPU only", ""});
    else
        out.push_back({ready ? PASS : WARN, subject,
                       none ? state + ": a slower path is used" : state,
                       none ? "see the GPU vendor's installation guide" : ""});
}

void check_devices(Findings& out) {
    if (!has_nvidia_driver()) {
        out.push_back(
            {SKIP, "GPU driver", "no /dev/nvidiactl: this machine has no usable GPU", ""});
    } else if (access("/dev/nvidiactl", R_OK | W_OK) != 0) {
        out.push_back({FAIL, "GPU driver", "/dev/nvidiactl may not be opened",
                       "usermod -aG video,render $USER, then log in again"});
    } else {
        const Found cuda = cuda_version();
        out.push_back({cuda.there && !cuda.outside ? PASS : WARN, "GPU driver", "CUDA " + cuda.text,
                       cuda.there ? (cuda.outside ? "supported are 12.x and 13.x" : "")
                                  : "install the driver's libcuda.so.1"});
    }
    check_pair(out, "GDRCopy", gdrcopy_state());
    check_pair(out, "GPUDirect Storage", gds_state());
    const Found ucx = ucx_version();
    if (!ucx.there)
        out.push_back({SKIP, "UCX", "libucp.so.0 not found; of use with peers only", ""});
    else
        out.push_back({ucx.outside ? WARN : PASS, "UCX", ucx.text,
                       ucx.outside ? "1.20.x is what is supported" : ""});
}

/// Fewer lanes than the GPU and its slot have: every path over the link is slower by as much.
void check_gpu_links(Findings& out) {
    const Json devices = Json::read(nixl::report("devices", nixl_context{}));
    for (const auto& [unused, gpu] : devices["gpus"].members()) {
        const Json& links = gpu["links"];
        if (!links["reason"].text().empty())
            continue;
        const bool narrow = links["pcie_width"].number() < links["most_pcie_width"].number();
        out.push_back({narrow ? WARN : PASS, "link of GPU " + gpu["number"].text(),
                       "PCIe x" + links["pcie_width"].text() + " of x" +
                           links["most_pcie_width"].text() + ", " + links["nvlinks"].text() +
                           " NVLinks up",
                       narrow ? "look at the slot, the riser and the BIOS's bifurcation" : ""});
    }
}

/// Rotating disks are the slowest part of any path that they are on.
void check_disks(Findings& out) {
    std::string rotating, solid;
    for (const BlockDevice& device : read_block_devices()) {
        const auto is = [&device](const char* kind) { return device.name.rfind(kind, 0) == 0; };
        if (is("loop") || is("ram") || is("zram") || is("dm-") || is("md") || is("sr"))
            continue; // stands on something else
        std::string& names = device.rotational ? rotating : solid;
        names += (names.empty() ? "" : " ") + device.name;
    }
    if (!rotating.empty())
        out.push_back({WARN, "disks", rotating + ": rotating", "NVMe is recommended"});
    else if (!solid.empty())
        out.push_back({PASS, "disks", solid + ": solid state", ""});
    else
        out.push_back({SKIP, "disks", "none visible", ""});
    const std::string rdma = rdma_devices();
    if (rdma == "none")
        out.push_back({SKIP, "RDMA", "no InfiniBand or RoCE device; of use with peers only", ""});
    else
        out.push_back({PASS, "RDMA", rdma, ""});
}

void check_backends(Findings& out, nixl_context context) {
    bool copies = false, stores = false;
    const Json backends = Json::read(report("backends", context));
    const Json plugins = Json::read(report("plugins", context));
    for (const auto& [unused, backend] : backends.members()) {
        copies |= backend["name"].text() == "memcpy" && backend["available"].is_true();
        stores |= backend["name"].text() == "posix" && backend["available"].is_true();
    }
    out.push_back({copies ? PASS : WARN, "memory copies", copies ? "memcpy" : "not available",
                   copies ? "" : "nixl-info --backends says why"});
    out.push_back({stores ? PASS : WARN, "files", stores ? "posix" : "not available",
                   stores ? "" : "nixl-info --backends says why"});
    for (const auto& [unused, plugin] : plugins["refused"].members())
        out.push_back({WARN, "plug-in", plugin["source"].text() + ": " + plugin["reason"].text(),
                       "rebuild it, or remove it from the plug-in folder"});
}

/// Opens the library with the settings of the environment and moves a little.
void check_library(Findings& out) {
    try {
        const Context context;
        out.push_back({PASS, "library", std::string("nixl ") + version() + " opens", ""});
        check_backends(out, context);
        std::vector<char> from(MB, 'x'), to(MB, '-');
        const Buffer source =
            Buffer::from_host(from.data(), from.size(), MemoryType::HOST, context);
        const Buffer target = Buffer::from_host(to.data(), to.size(), MemoryType::HOST, context);
        transfer(source, target);
        const bool same = from == to;
        out.push_back({same ? PASS : FAIL, "a transfer of 1 MB",
                       same ? "arrived" : "other bytes arrived than were sent",
                       same ? "" : "is NIXL_NULL_ENABLE set? It moves nothing"});
    } catch (const NIXLException& error) {
        out.push_back({FAIL, "library", error.what(),
                       "correct the setting that it names; nixl-info --config lists all"});
    }
}

} // namespace

std::vector<Finding> run_checks() {
    Findings out;
    check_library(out);
    check_kernel(out);
    check_sleep_states(out);
    check_limits(out);
    check_io_uring(out);
    check_memory(out);
    check_temporary_folder(out);
    check_devices(out);
    try {
        check_gpu_links(out);
    } catch (const NIXLException&) {
        // check_library() has told that no context opens.
    }
    check_disks(out);
    return out;
}

const char* verdict_name(Verdict verdict) {
    constexpr const char* NAMES[] = {"pass", "warn", "FAIL", "skip"};
    return NAMES[static_cast<int>(verdict)];
}

} // namespace nixl::tools
