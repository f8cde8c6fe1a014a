// SPDX-License-Identifier: Apache-2.0
#include "base/worker_pool.h"

#include "base/clock.h"
#include "base/thread.h"

namespace nixl::core {

WorkerPool::~WorkerPool() {
    std::vector<std::thread> threads;
    {
        const MutexLock lock(mutex_);
        stopping_ = true;
        has_work_.store(true, std::memory_order_relaxed);
        threads.swap(threads_);
    }
    ready_.notify_all();
    for (auto& thread : threads)
        thread.join();
}

Code WorkerPool::run(Work work, void* argument) {
    bool wake = false;
    {
        const MutexLock lock(mutex_);
        if (waiting_ == MAX_WAITING || !ensure_thread())
            return Code::AGAIN;
        ring_[(first_ + waiting_++) % MAX_WAITING] = {work, argument};
        has_work_.store(true, std::memory_order_relaxed);
        // Whoever spins looks at waiting_ under the lock before it parks, so it takes one.
        wake = waiting_ > spinning_;
    }
    if (wake)
        ready_.notify_one();
    return Code::OK;
}

bool WorkerPool::ensure_thread() {
    if (parked_ + spinning_ > waiting_ || threads_.size() >= wanted_)
        return true;
    auto thread = start_thread("nixl-worker", [this] { serve(); });
    if (!thread.ok())
        return !threads_.empty();
    threads_.push_back(std::move(thread).value());
    return true;
}

void WorkerPool::serve() {
    mutex_.lock();
    for (bool warm = false;; warm = true) {
        // One thread stands for one CPU: spinning there keeps the giver of work from running.
        if (warm && wanted_ > 1 && waiting_ == 0 && !stopping_)
            spin();
        ++parked_;
        while (waiting_ == 0 && !stopping_)
            ready_.wait(mutex_);
        --parked_;
        if (waiting_ == 0)
            break;
        const Item item = ring_[first_];
        first_ = (first_ + 1) % MAX_WAITING;
        --waiting_;
        if (waiting_ == 0 && !stopping_)
            has_work_.store(false, std::memory_order_relaxed);
        mutex_.unlock();
        item.work(item.argument);
        mutex_.lock();
    }
    mutex_.unlock();
}

/// Lets the lock go until there is work, or SPIN_NS have passed.
void WorkerPool::spin() {
    ++spinning_;
    mutex_.unlock();
    const uint64_t end = now_ns() + SPIN_NS;
    // relaxed: a hint; what it stands for is read under the lock.
    while (!has_work_.load(std::memory_order_relaxed) && now_ns() < end) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
    }
    mutex_.lock();
    --spinning_;
}

} // namespace nixl::core
