// SPDX-License-Identifier: Apache-2.0
#include "platform/system.h"

#include <algorithm>
#include <optional>
#include <sched.h>
#include <unistd.h>

#include "base/read_file.h"
#include "base/text.h"

namespace nixl::core {
namespace {

/// The number behind `name` in lines like "MemTotal:  123 kB" or "inactive_file 123".
std::optional<uint64_t> number_of(const std::string& text, std::string_view name) {
    for (const std::string_view line : split(text, '\n')) {
        if (line.substr(0, name.size()) != name)
            continue;
        const std::string_view rest = trim(line.substr(name.size()));
        const auto number = parse_integer(rest.substr(0, rest.find(' ')));
        if (number.ok())
            return number.value();
    }
    return std::nullopt;
}

std::optional<uint64_t> number_in_file(const std::string& path) {
    const auto text = read_file(path);
    if (!text)
        return std::nullopt;
    const auto number = parse_integer(text.value());
    return number.ok() ? std::optional(number.value()) : std::nullopt; // "max" is no limit
}

/// The names of one version's files.
struct GroupFiles {
    const char* limit;
    const char* usage;
    const char* reclaimable; // line of memory.stat
};
constexpr GroupFiles VERSION_1{"/memory.limit_in_bytes", "/memory.usage_in_bytes",
                               "total_inactive_file "};
constexpr GroupFiles VERSION_2{"/memory.max", "/memory.current", "inactive_file "};

/// Narrows `figures` by one control group's limit.
void apply_group(const std::string& folder, const GroupFiles& files, MemoryFigures& figures) {
    const auto limit = number_in_file(folder + files.limit);
    if (!limit || *limit >= figures.total_bytes)
        return; // version 1 writes "no limit" as a number near 2^63
    // A group may be limited while its children hold the memory: its usage includes theirs.
    uint64_t used = number_in_file(folder + files.usage).value_or(0);
    const auto stat = read_file(folder + "/memory.stat");
    used -= std::min(used, stat ? number_of(stat.value(), files.reclaimable).value_or(0) : 0);
    figures.total_bytes = *limit;
    figures.free_bytes = std::min(figures.free_bytes, *limit - std::min(*limit, used));
    figures.limited = true;
}

/// Where a hierarchy is mounted, and which part of it.
struct GroupMount {
    std::string point;
    std::string part; // "/" but where a container sees only its own part
};

/// From /proc/self/mountinfo: "36 31 0:33 PART POINT options... - TYPE source SUPER_OPTIONS".
std::optional<GroupMount> find_mount(const std::string& root, bool version_2) {
    const auto mounts = read_file(root + "/proc/self/mountinfo");
    if (!mounts)
        return std::nullopt;
    for (const std::string_view line : split(mounts.value(), '\n')) {
        const size_t dash = line.find(" - ");
        if (dash == std::string_view::npos)
            continue;
        const auto front = split(line.substr(0, dash), ' '),
                   back = split(line.substr(dash + 3), ' ');
        if (front.size() < 5 || back.size() < 3)
            continue;
        const auto options = split(back[2], ',');
        const bool has_memory =
            std::find(options.begin(), options.end(), "memory") != options.end();
        if (version_2 ? back[0] == "cgroup2" : back[0] == "cgroup" && has_memory)
            return GroupMount{root + std::string(front[4]), std::string(front[3])};
    }
    return std::nullopt;
}

/// The path of this process's group, from lines like "4:memory:/a/b" or "0::/a/b".
std::optional<std::string> group_path(const std::string& root, bool version_2) {
    const auto groups = read_file(root + "/proc/self/cgroup");
    if (!groups)
        return std::nullopt;
    for (const std::string_view line : split(groups.value(), '\n')) {
        const size_t first = line.find(':');
        const size_t second = line.find(':', first + 1);
        if (first == std::string_view::npos || second == std::string_view::npos)
            continue;
        const auto controllers = split(line.substr(first + 1, second - first - 1), ',');
        const bool matches = version_2 ? line.substr(0, first) == "0"
                                       : std::find(controllers.begin(), controllers.end(),
                                                   "memory") != controllers.end();
        if (matches)
            return std::string(line.substr(second + 1));
    }
    return std::nullopt;
}

void apply_groups(const std::string& root, bool version_2, MemoryFigures& figures) {
    const auto mount = find_mount(root, version_2);
    auto path = group_path(root, version_2);
    if (!mount || !path)
        return;
    if (mount->part != "/" && path->compare(0, mount->part.size(), mount->part) == 0)
        path->erase(0, mount->part.size());
    // Every group above limits too. Folders that are not visible from here have no files to read.
    const GroupFiles& files = version_2 ? VERSION_2 : VERSION_1;
    for (std::string folder = *path == "/" ? "" : *path; !folder.empty();
         folder.erase(std::min(folder.rfind('/'), folder.size())))
        apply_group(mount->point + folder, files, figures);
    apply_group(mount->point, files, figures);
}

} // namespace

Result<MemoryFigures> host_memory(const std::string& root) {
    const std::string path = root + "/proc/meminfo";
    const auto text = read_file(path);
    if (!text)
        return text.error();
    const auto total = number_of(text.value(), "MemTotal:");
    auto available = number_of(text.value(), "MemAvailable:");
    if (!available)
        available = number_of(text.value(), "MemFree:"); // some containers' emulation leaves it out
    if (!total || !available)
        return Error(Code::UNSUPPORTED, path + ": has no MemTotal or MemAvailable");
    MemoryFigures figures{*total * 1024, *available * 1024, false};
    apply_groups(root, false, figures);
    apply_groups(root, true, figures);
    return figures;
}

uint32_t usable_cpus() noexcept {
    // The mask must be as large as the kernel's; the size is not told, so it is tried.
    for (size_t cpus = 1024; cpus <= 65536; cpus *= 4) {
        cpu_set_t* set = CPU_ALLOC(cpus);
        if (set == nullptr)
            break;
        const size_t bytes = CPU_ALLOC_SIZE(cpus);
        const bool known = ::sched_getaffinity(0, bytes, set) == 0;
        const int count = known ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (known && count > 0)
            return static_cast<uint32_t>(count);
    }
    return static_cast<uint32_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
}

} // namespace nixl::core
