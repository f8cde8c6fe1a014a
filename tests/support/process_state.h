// SPDX-License-Identifier: Apache-2.0
// What a process holds of the system, to tell what something that was closed left behind.
#pragma once

#include <cstdint>
#include <set>
#include <string>

namespace nixl::test {

struct ProcessState {
    std::multiset<std::string> descriptors; ///< what they point to
    uint64_t threads = 0;
    uint64_t locked_kib = 0, pinned_kib = 0;

    static ProcessState now();
};

/// Waits until the process holds no more than `before`, since the kernel takes threads, rings and
/// pinned pages back a little later. "", or what is still there.
[[nodiscard]] std::string left_since(const ProcessState& before);

} // namespace nixl::test
