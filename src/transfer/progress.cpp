// SPDX-License-Identifier: Apache-2.0
#include "transfer/progress.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <poll.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "transfer/transfers.h"

namespace nixl::core {

namespace {

/// For backends that can neither wake us nor be polled on a descriptor.
constexpr int64_t POLL_SLICE_NS = 50'000;

/// How long a lane that somebody drives is left alone. Waiters that sleep are asked after that to
/// tell when they go (at once would cost more than small transfers do), and looks become rarer.
constexpr int64_t NAP_NS = 200'000;
constexpr int64_t LONGEST_NAP_NS = 10'000'000;

/// Most turns are short.
bool enter_soon(Lane& lane) noexcept {
    for (int tries = 0; tries < 4; ++tries) {
        if (lane.try_enter())
            return true;
        std::this_thread::yield();
    }
    return false;
}

} // namespace

void Progress::stop() noexcept {
    stopping_.store(true);
    if (running_.load())
        signal_->signal();
    const MutexLock lock(mutex_);
    if (thread_.joinable())
        thread_.join();
}

/// False: it cannot be started. Others may have given threads back when it is asked for again.
bool Progress::start() noexcept {
    const MutexLock lock(mutex_);
    if (running_.load() || stopping_.load())
        return true;
    const auto started = start_locked();
    if (!started.ok() && !std::exchange(told_, true))
        NIXL_LOG(ERROR, "no progress thread: transfers go on only in polls and waits, and no "
                        "callback can be posted: " +
                            started.error().message + "; " + started.error().hint);
    return started.ok();
}

Result<void> Progress::start_locked() {
    if (!signal_.has_value()) {
        auto signal = EventFd::create();
        if (!signal.ok())
            return std::move(signal).error();
        signal_.emplace(std::move(signal).value());
    }
    auto thread = start_thread("nixl-progress", [this] { serve(); });
    if (!thread.ok())
        return std::move(thread).error();
    thread_ = std::move(thread).value();
    running_.store(true);
    return {};
}

void Progress::nudge() noexcept {
    if (!running_.load(std::memory_order_acquire) && !(start() && running_.load()))
        return;
    if (asleep_.load() && asleep_.exchange(false))
        signal_->signal();
}

void Progress::waiter_left() noexcept {
    if (heeds_waiters_.load() && heeds_waiters_.exchange(false))
        nudge();
}

void Progress::serve() {
    thread_role().progress_of = &shared_;
    while (!stopping_.load()) {
        const bool all = shared_.armed_queues() != 0;
        uint64_t next_deadline = 0;
        if (drive_lanes(all, &next_deadline))
            continue;
        sleep(all, next_deadline);
    }
}

/// Lanes that somebody waits on are left to the waiter.
bool Progress::drive_lanes(bool all, uint64_t* next_deadline) {
    bool moved = false;
    for (const auto& lane : shared_.lanes()) {
        if (!(all || lane->background() != 0 || lane->has_inbox() || lane->woken()) ||
            lane->attended() || !lane->try_enter())
            continue;
        moved |= lane->progress();
        const uint64_t deadline = lane->expire(now_ns());
        if (deadline != 0 && (*next_deadline == 0 || deadline < *next_deadline))
            *next_deadline = deadline;
        lane->leave();
    }
    return moved;
}

void Progress::sleep(bool all, uint64_t next_deadline) {
    std::vector<int> fds;
    bool again = false, slices = false, attended = false, driven = false;
    // Announce the sleep first: a nudge from here on signals, arming sees what came before, and a
    // waiter that leaves is either seen gone or sees that it is heeded.
    asleep_.store(true);
    heeds_waiters_.store(true);
    for (const auto& lane : shared_.lanes()) {
        if (!(all || lane->background() != 0 || lane->has_inbox()))
            continue;
        if (lane->attended()) {
            attended = true;
            continue;
        }
        if (!enter_soon(*lane)) { // somebody drives it in long turns, or again and again
            driven = true;
            continue;
        }
        lane->watched.store(true);
        again |= lane->progress() || !lane->arm();
        const uint64_t deadline = lane->expire(now_ns());
        if (deadline != 0 && (next_deadline == 0 || deadline < next_deadline))
            next_deadline = deadline;
        slices |= lane->must_be_polled();
        lane->collect_fds(fds);
        lane->leave();
    }
    nap_ns_ = attended ? std::clamp(2 * nap_ns_, NAP_NS, LONGEST_NAP_NS) : 0;
    heeds_waiters_.store(nap_ns_ > NAP_NS);
    if (!again && asleep_.load() && !stopping_.load()) {
        int64_t timeout_ns = next_deadline == 0 ? -1 : remaining_ns(next_deadline);
        const auto at_most = [&timeout_ns](int64_t ns) {
            timeout_ns = timeout_ns < 0 ? ns : std::min(timeout_ns, ns);
        };
        if (slices)
            at_most(POLL_SLICE_NS);
        if (attended)
            at_most(nap_ns_);
        if (driven)
            at_most(NAP_NS);
        poll(fds, timeout_ns);
    }
    asleep_.store(false);
    for (const auto& lane : shared_.lanes())
        lane->watched.store(false);
}

/// Until one of them is readable, a nudge, or the timeout; negative: none.
void Progress::poll(const std::vector<int>& fds, int64_t timeout_ns) {
    std::vector<pollfd> polled{{signal_->fd(), POLLIN, 0}};
    for (const int fd : fds)
        polled.push_back({fd, POLLIN, 0});
    const timespec limit{static_cast<time_t>(timeout_ns / 1'000'000'000),
                         static_cast<long>(timeout_ns % 1'000'000'000)};
    ::ppoll(polled.data(), polled.size(), timeout_ns < 0 ? nullptr : &limit, nullptr);
    if (polled[0].revents != 0)
        signal_->drain();
}

} // namespace nixl::core
