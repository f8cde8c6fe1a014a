// SPDX-License-Identifier: Apache-2.0
#include "tests/support/process_state.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

namespace nixl::test {
namespace {

constexpr std::chrono::seconds PATIENCE{20};

std::multiset<std::string> open_descriptors() {
    std::multiset<std::string> found;
    std::error_code gone; // the listing's own descriptor is
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        const auto target = std::filesystem::read_symlink(entry.path(), gone);
        if (!gone && target.string().find("/proc/") != 0)
            found.insert(target.string());
    }
    return found;
}

} // namespace

ProcessState ProcessState::now() {
    ProcessState state;
    state.descriptors = open_descriptors();
    std::ifstream status("/proc/self/status");
    std::string word;
    while (status >> word) {
        if (word == "Threads:")
            status >> state.threads;
        else if (word == "VmLck:")
            status >> state.locked_kib;
        else if (word == "VmPin:")
            status >> state.pinned_kib;
    }
    return state;
}

std::string left_since(const ProcessState& before) {
    const auto end = std::chrono::steady_clock::now() + PATIENCE;
    for (;;) {
        const ProcessState after = ProcessState::now();
        std::multiset<std::string> extra;
        std::set_difference(after.descriptors.begin(), after.descriptors.end(),
                            before.descriptors.begin(), before.descriptors.end(),
                            std::inserter(extra, extra.end()));
        std::string left;
        for (const std::string& each : extra)
            left += "descriptor of " + each + "; ";
        const auto grown = [&left](const char* what, uint64_t from, uint64_t to) {
            if (to > from)
                left += std::to_string(to - from) + " more " + what + "; ";
        };
        grown("threads", before.threads, after.threads);
        grown("KiB locked", before.locked_kib, after.locked_kib);
        grown("KiB pinned", before.pinned_kib, after.pinned_kib);
        if (left.empty() || std::chrono::steady_clock::now() > end)
            return left;
        std::this_thread::yield();
    }
}

} // namespace nixl::test
