// SPDX-License-Identifier: Apache-2.0
// Threads that wait, parked, for short pieces of work. Backends share one pool per context.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "base/annotations.h"
#include "base/status.h"

namespace nixl::core {

/// Threads: any thread. Threads start with the first piece of work and stay until destruction,
/// parked but for SPIN_NS after each piece: work that comes that soon wakes nobody.
class WorkerPool {
  public:
    using Work = void (*)(void*);
    static constexpr size_t MAX_WAITING = 1024;
    static constexpr uint64_t SPIN_NS = 20'000; // some wakes of a parked thread

    explicit WorkerPool(uint32_t threads) : wanted_(threads == 0 ? 1 : threads) {}
    ~WorkerPool(); ///< finishes what was accepted

    /// AGAIN when MAX_WAITING pieces wait, or when no thread could be started.
    Code run(Work work, void* argument);
    [[nodiscard]] uint32_t threads() const noexcept { return wanted_; }

  private:
    struct Item {
        Work work = nullptr;
        void* argument = nullptr;
    };
    bool ensure_thread() REQUIRES(mutex_);
    void serve();
    void spin() REQUIRES(mutex_);

    const uint32_t wanted_;
    Mutex mutex_;
    std::condition_variable_any ready_;
    std::array<Item, MAX_WAITING> ring_ GUARDED_BY(mutex_){}; // fixed: run() never allocates
    size_t first_ GUARDED_BY(mutex_) = 0;
    size_t waiting_ GUARDED_BY(mutex_) = 0;
    uint32_t parked_ GUARDED_BY(mutex_) = 0;
    uint32_t spinning_ GUARDED_BY(mutex_) = 0;
    // waiting_ != 0 or stopping_, for those who spin without the lock; they look again under it.
    std::atomic<bool> has_work_{false};
    bool stopping_ GUARDED_BY(mutex_) = false;
    std::vector<std::thread> threads_ GUARDED_BY(mutex_);
};

} // namespace nixl::core
