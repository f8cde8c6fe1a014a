// SPDX-License-Identifier: Apache-2.0
// Whether another thread of this process sleeps, as the kernel tells it.
#pragma once

#include <chrono>
#include <cstdint>
#include <fstream>
#include <string>
#include <thread>

#include <sys/syscall.h>
#include <unistd.h>

namespace nixl::test {

[[nodiscard]] inline pid_t thread_id() { return static_cast<pid_t>(::syscall(SYS_gettid)); }

/// How often it went to sleep so far; 0: it does not sleep now.
[[nodiscard]] inline uint64_t sleeping_since(pid_t thread) {
    std::ifstream status("/proc/self/task/" + std::to_string(thread) + "/status");
    std::string word, state;
    uint64_t sleeps = 0;
    while (status >> word) {
        if (word == "State:")
            status >> state;
        else if (word == "voluntary_ctxt_switches:")
            status >> sleeps;
    }
    return state == "S" ? sleeps : 0;
}

/// Waits until the thread sleeps for longer than this one looks at it a hundred times: not for a
/// lock, but until somebody wakes it. False after a long while.
[[nodiscard]] inline bool wait_until_asleep(pid_t thread) {
    constexpr int LOOKS = 100;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    for (int same = 0; same < LOOKS;) {
        if (std::chrono::steady_clock::now() > end)
            return false;
        const uint64_t before = sleeping_since(thread);
        std::this_thread::yield();
        same = before != 0 && sleeping_since(thread) == before ? same + 1 : 0;
    }
    return true;
}

} // namespace nixl::test
