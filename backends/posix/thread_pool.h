// SPDX-License-Identifier: Apache-2.0
// Threads that sleep in preadv and pwritev. Own ones: blocking on a disk would starve the host's
// shared workers, which copy memory, and a disk wants more calls in flight than there are cores.
#pragma once

#include <atomic>
#include <deque>
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
    /// Jobs that may hang together: those of a file, and of all files of a device.
    struct Group {
        uint32_t spared = 1;              ///< threads that it leaves to others, if there are more
        Group* outer = nullptr;           ///< which it is a part of
        std::atomic<uint32_t> threads{0}; ///< busy with it
    };
    struct Job {
        Group* group = nullptr; // lives until done() is called
        int64_t (*work)(void* owner, void* argument) = nullptr;
        // Tells of the result. Group, owner and argument may be gone after it.
        void (*done)(void* owner, void* argument, int64_t result) = nullptr;
        void* owner = nullptr;
        void* argument = nullptr;
    };

    explicit ThreadPool(uint32_t threads);
    ~ThreadPool(); ///< After the last job has been run.
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    /// Sees to it that so many threads run, at most those of the constructor. Some are enough; an
    /// error means that none do.
    Result<void> start(uint32_t threads) EXCLUDES(mutex_);
    Result<void> start_all() EXCLUDES(mutex_) { return start(thread_count_); }

    /// False: too many are waiting, offer it again after one has ended.
    bool run(const Job& job) noexcept;

  private:
    static constexpr uint32_t MAX_WAITING_JOBS = 8192;
    void loop() noexcept;
    void serve(Job job) noexcept;
    bool claim(Group& group) const noexcept;
    static void occupy(Group& group) noexcept;
    static void release(Group& group) noexcept;
    bool park(const Job& job) noexcept EXCLUDES(parked_mutex_);
    bool take_parked(Job* job) noexcept EXCLUDES(parked_mutex_);
    void offer_parked() noexcept EXCLUDES(parked_mutex_);

    const uint32_t thread_count_;
    std::atomic<uint32_t> started_{1}; // threads
    BoundedRing<Job> jobs_{MAX_WAITING_JOBS};
    sem_t waiting_; // one post per job, and one per thread at the end
    std::atomic<bool> stopping_{false};
    Mutex mutex_;
    std::vector<std::thread> threads_ GUARDED_BY(mutex_);

    // Jobs of groups that are at their limit; whoever ends a job takes the first that may run.
    std::atomic<uint32_t> parked_count_{0};
    Mutex parked_mutex_;
    std::deque<Job> parked_ GUARDED_BY(parked_mutex_); // bounded by what queues have in flight
};

} // namespace nixl::core::posix
