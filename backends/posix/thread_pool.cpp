// SPDX-License-Identifier: Apache-2.0
#include "thread_pool.h"

#include <cerrno>

#include "base/thread.h"

namespace nixl::core::posix {

ThreadPool::ThreadPool(uint32_t threads) : thread_count_(threads) { ::sem_init(&waiting_, 0, 0); }

ThreadPool::~ThreadPool() {
    {
        MutexLock lock(mutex_);
        stopping_.store(true);
        for (size_t i = 0; i < threads_.size(); ++i)
            ::sem_post(&waiting_);
        for (std::thread& thread : threads_)
            thread.join();
    }
    ::sem_destroy(&waiting_);
}

Result<void> ThreadPool::start() {
    MutexLock lock(mutex_);
    if (!threads_.empty())
        return {};
    for (uint32_t i = 0; i < thread_count_; ++i) {
        auto thread = start_thread("nixl-posix", [this] { loop(); });
        if (!thread && i == 0)
            return std::move(thread).error();
        if (!thread)
            break;
        threads_.push_back(std::move(thread).value());
    }
    return {};
}

bool ThreadPool::run(const Job& job) noexcept {
    if (!jobs_.push(job))
        return false;
    ::sem_post(&waiting_);
    return true;
}

void ThreadPool::loop() noexcept {
    for (;;) {
        if (::sem_wait(&waiting_) != 0)
            continue; // EINTR
        Job job;
        // A post follows its job. Yet the job at the head may be one whose producer claimed an
        // earlier place and is still writing it, a matter of nanoseconds.
        while (!jobs_.pop(&job)) {
            if (stopping_.load())
                return;
            std::this_thread::yield();
        }
        job.work(job.owner, job.argument);
    }
}

} // namespace nixl::core::posix
