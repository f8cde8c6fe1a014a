// SPDX-License-Identifier: Apache-2.0
// Threads that sleep in preadv and pwritev. Own ones: blocking on a disk would starve the host's
// shared workers, which copy memory, and a disk wants more calls in flight than there are cores.
#pragma once

#include <atomic>
#include <thread>
#include <vector>

#include <semaphore.h>

#include "base/annotations.h"
#include "base/status.h"
#include "bounded_ring.h"

namespace nixl::core::posix {

/// Threads: any thread.
class ThreadPool {
  public:
    struct Job {
        void (*work)(void* owner, void* argument) = nullptr;
        void* owner = nullptr;
        void* argument = nullptr;
    };

    explicit ThreadPool(uint32_t threads);
    ~ThreadPool(); ///< After the last job has been run.
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    /// Starts the threads unless they run already. Some are enough; an error means none.
    Result<void> start() EXCLUDES(mutex_);

    /// False: too many are waiting, offer it again after one has ended.
    bool run(const Job& job) noexcept;

  private:
    static constexpr uint32_t MAX_WAITING_JOBS = 8192;
    void loop() noexcept;

    const uint32_t thread_count_;
    BoundedRing<Job> jobs_{MAX_WAITING_JOBS};
    sem_t waiting_; // one post per job, and one per thread at the end
    std::atomic<bool> stopping_{false};
    Mutex mutex_;
    std::vector<std::thread> threads_ GUARDED_BY(mutex_);
};

} // namespace nixl::core::posix
