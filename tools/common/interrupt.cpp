// SPDX-License-Identifier: Apache-2.0
#include "common/interrupt.h"

#include <atomic>
#include <csignal>

#include "common/failure.h"

namespace nixl::tools {

namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler writes it");

void note_interrupt(int) { interrupted.store(true, std::memory_order_relaxed); }

} // namespace

void catch_interrupts() {
    struct sigaction action {};
    action.sa_handler = note_interrupt;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
}

bool is_interrupted() noexcept { return interrupted.load(std::memory_order_relaxed); }

void stop_if_interrupted() {
    if (is_interrupted())
        throw Failure(EXIT_INTERRUPTED, "interrupted");
}

} // namespace nixl::tools
