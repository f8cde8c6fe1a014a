// SPDX-License-Identifier: Apache-2.0
// Counts heap allocations and system calls of transfers after start-up. A child installs a filter
// that kills on any system call but write and exit, so a count of zero cannot be claimed wrongly.
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <new>

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hot.h"

namespace {

std::atomic<uint64_t> allocations{0};

} // namespace

void* operator new(size_t bytes) {
    ++allocations;
    // allow(naked-new): this is the counting operator new.
    if (void* memory = std::malloc(bytes))
        return memory;
    throw std::bad_alloc();
}
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
    ++allocations;
    // allow(naked-new): as above.
    return std::malloc(bytes);
}
// allow(naked-new): and its counterparts.
void operator delete(void* memory) noexcept { std::free(memory); }
// allow(naked-new): as above.
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace nixl_perf {
namespace {

constexpr int ROUNDS = 1000;

/// Kills the process at any system call but write, exit and, when allowed, futex.
void forbid_system_calls(bool futex_allowed) {
    const long allowed = futex_allowed ? SYS_futex : SYS_write;
    const sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(allowed), 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{std::size(code), const_cast<sock_filter*>(code)};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        std::_Exit(3);
}

/// Runs `action` warm in a child, then ROUNDS times without system calls, counting allocations.
/// The child's exit: 0 nothing was counted, 1 allocations, killed by SIGSYS a system call.
int count_in_child(bool with_null, bool futex_allowed,
                   const std::function<std::function<void()>(Bench&)>& prepare) {
    const pid_t child = fork();
    if (child == 0) {
        // allow(naked-new): never closed, closing makes system calls.
        auto* bench = new Bench(with_null);
        const auto action = prepare(*bench);
        for (int i = 0; i < ROUNDS; ++i)
            action();
        forbid_system_calls(futex_allowed);
        const uint64_t before = allocations.load();
        for (int i = 0; i < ROUNDS; ++i)
            action();
        std::_Exit(allocations.load() == before ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return status;
}

TEST(Counts, TheFilterItself_killsAndTheCounterCounts) {
    const int system_call = count_in_child(true, false, [](Bench&) -> std::function<void()> {
        return [] { (void)syscall(SYS_getppid); };
    });
    EXPECT_TRUE(WIFSIGNALED(system_call) && WTERMSIG(system_call) == SIGSYS);
    const int allocation = count_in_child(true, false, [](Bench&) -> std::function<void()> {
        return [] {
            // allow(naked-new): what the counter must see.
            char* volatile memory = new char;
            // allow(naked-new): as above.
            delete memory;
        };
    });
    EXPECT_TRUE(WIFEXITED(allocation) && WEXITSTATUS(allocation) == 1);
}

TEST(Counts, PreparedPostOnNull_allocatesNothingAndCallsNothing) {
    EXPECT_EQ(count_in_child(true, false,
                             [](Bench& bench) -> std::function<void()> {
                                 const nixl_request request = bench.one(64);
                                 return [&bench, request] { bench.post_poll(request); };
                             }),
              0);
}

TEST(Counts, WholeTransferOnNull_allocatesNothingAndCallsNothing) {
    EXPECT_EQ(count_in_child(true, false,
                             [](Bench& bench) -> std::function<void()> {
                                 return [&bench] { bench.whole(64); };
                             }),
              0);
}

TEST(Counts, ListedRunsOnNull_allocateNothingAndCallNothing) {
    EXPECT_EQ(count_in_child(true, false,
                             [](Bench& bench) -> std::function<void()> {
                                 return [&bench] { bench.whole(bench.listed.data(), 1024); };
                             }),
              0);
}

TEST(Counts, InlineCopy_allocatesNothingAndCallsNothing) {
    EXPECT_EQ(count_in_child(false, false,
                             [](Bench& bench) -> std::function<void()> {
                                 const nixl_request request = bench.one(128u << 10);
                                 return [&bench, request] { bench.post_poll(request); };
                             }),
              0);
}

TEST(Counts, CopyAboveTheInlineLimit_wakesWorkersAndAllocatesNothing) {
    EXPECT_EQ(count_in_child(false, true,
                             [](Bench& bench) -> std::function<void()> {
                                 const nixl_request request = bench.one(4u << 20);
                                 return [&bench, request] { bench.post_poll(request); };
                             }),
              0);
}

} // namespace
} // namespace nixl_perf
