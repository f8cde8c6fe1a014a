// SPDX-License-Identifier: Apache-2.0
// The progress thread of a context: drives lanes whose transfers nobody waits for, and sleeps
// otherwise.
#pragma once

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

#include "base/annotations.h"
#include "base/descriptor.h"
#include "base/status.h"

namespace nixl::core {

class Transfers;

/// Started at first need. Threads: any thread.
class Progress {
  public:
    explicit Progress(Transfers& shared) : shared_(shared) {}
    ~Progress() { stop(); }

    void stop() noexcept EXCLUDES(mutex_); ///< for good
    /// There may be work: starts the thread, or wakes it when it sleeps.
    void nudge() noexcept;
    /// A waiter has left a lane on which there is more to do.
    void waiter_left() noexcept;
    /// Starts the thread at first need. False: it cannot be started now; the log tells why, once.
    [[nodiscard]] bool ensure() noexcept { return running() || start(); }
    [[nodiscard]] bool running() const noexcept { return running_.load(std::memory_order_acquire); }

  private:
    bool start() noexcept EXCLUDES(mutex_);
    Result<void> start_locked() REQUIRES(mutex_);
    void serve();
    bool drive_lanes(bool all, uint64_t* next_deadline);
    void sleep(bool all, uint64_t next_deadline);
    void poll(const std::vector<int>& fds, int64_t timeout_ns);

    Transfers& shared_;
    std::atomic<bool> running_{false};
    std::atomic<bool> asleep_{false};
    std::atomic<bool> heeds_waiters_{false}; ///< asleep, and until a waiter leaves
    int64_t nap_ns_ = 0;                     ///< of its last sleep beside a waiter; the thread's
    std::atomic<bool> stopping_{false};
    Mutex mutex_;
    bool told_ GUARDED_BY(mutex_) = false; ///< that it cannot be started
    std::optional<EventFd> signal_;        ///< made before running_ is set
    std::thread thread_ GUARDED_BY(mutex_);
};

} // namespace nixl::core
