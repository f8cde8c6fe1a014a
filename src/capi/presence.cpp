// SPDX-License-Identifier: Apache-2.0
#include "capi/presence.h"

#include <mutex>
#include <thread>
#include <vector>

#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace nixl::core {

namespace {

void after_fork_in_child();

/// All threads that ever made a call and still live.
struct Threads {
    std::mutex mutex;
    std::vector<const Presence*> list;
};

Threads& threads() {
    // allow(naked-new): never destroyed, threads may end after main() has.
    static Threads* all = new Threads;
    [[maybe_unused]] static const int hook = pthread_atfork(nullptr, nullptr, after_fork_in_child);
    return *all;
}

/// In the child of a fork only this thread is left, and nobody unlocks what others held.
void after_fork_in_child() {
    // allow(naked-new): in place, over a mutex that may be locked for ever.
    new (&threads().mutex) std::mutex;
    threads().list.clear();
    if (my_presence != nullptr)
        threads().list.push_back(my_presence);
}

long membarrier(int command) noexcept { return syscall(SYS_membarrier, command, 0, 0); }

bool find_out() noexcept {
#if defined(__SANITIZE_THREAD__)
    return false; // the sanitizer does not know membarrier
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
    return false;
#endif
#endif
    return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
}

} // namespace

const bool presence_is_cheap = find_out();

thread_local constinit Presence* my_presence = nullptr;

Presence& enroll_thread() noexcept {
    thread_local Presence mine;
    return mine;
}

Presence::Presence() noexcept {
    const std::lock_guard lock(threads().mutex);
    threads().list.push_back(this);
    my_presence = this;
}

Presence::~Presence() {
    my_presence = nullptr; // a later destructor of this thread that makes a call enrolls again
    const std::lock_guard lock(threads().mutex);
    std::erase(threads().list, this);
}

bool inside_now(uint32_t context) noexcept {
    return (presence().inside.load(std::memory_order_relaxed) >> context & 1) != 0;
}

void wait_until_outside(uint32_t context) noexcept {
    if (presence_is_cheap)
        membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
    for (;;) {
        bool somebody = false;
        {
            const std::lock_guard lock(threads().mutex);
            for (const Presence* other : threads().list)
                if (other != &presence())
                    somebody |= (other->inside.load() >> context & 1) != 0;
        }
        if (!somebody)
            return;
        std::this_thread::yield(); // calls end soon: nothing is in flight any more
    }
}

} // namespace nixl::core
