// SPDX-License-Identifier: Apache-2.0
#include "base/futex.h"

#include <cerrno>
#include <climits>
#include <ctime>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace nixl::core {

namespace {

long futex(const std::atomic<uint32_t>& word, int operation, uint32_t value,
           const timespec* timeout) noexcept {
    static_assert(sizeof(word) == sizeof(uint32_t));
    return syscall(SYS_futex, &word, operation | FUTEX_PRIVATE_FLAG, value, timeout, nullptr, 0);
}

} // namespace

FutexResult futex_wait(const std::atomic<uint32_t>& word, uint32_t expected,
                       int64_t timeout_ns) noexcept {
    timespec limit{};
    if (timeout_ns >= 0) {
        limit.tv_sec = static_cast<time_t>(timeout_ns / 1'000'000'000);
        limit.tv_nsec = static_cast<long>(timeout_ns % 1'000'000'000);
    }
    if (futex(word, FUTEX_WAIT, expected, timeout_ns < 0 ? nullptr : &limit) == 0)
        return FutexResult::WOKEN;
    if (errno == ETIMEDOUT)
        return FutexResult::TIMED_OUT;
    return errno == EINTR ? FutexResult::INTERRUPTED
                          : FutexResult::WOKEN; // EAGAIN: changed already
}

void futex_wake_all(const std::atomic<uint32_t>& word) noexcept {
    futex(word, FUTEX_WAKE, INT_MAX, nullptr);
}

} // namespace nixl::core
