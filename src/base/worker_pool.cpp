// SPDX-License-Identifier: Apache-2.0
#include "base/worker_pool.h"

#include "base/thread.h"

namespace nixl::core {

WorkerPool::~WorkerPool() {
    std::vector<std::thread> threads;
    {
        const MutexLock lock(mutex_);
        stopping_ = true;
        threads.swap(threads_);
    }
    ready_.notify_all();
    for (auto& thread : threads)
        thread.join();
}

Code WorkerPool::run(Work work, void* argument) {
    {
        const MutexLock lock(mutex_);
        if (waiting_ == MAX_WAITING || !ensure_thread())
            return Code::AGAIN;
        ring_[(first_ + waiting_++) % MAX_WAITING] = {work, argument};
    }
    ready_.notify_one();
    return Code::OK;
}

bool WorkerPool::ensure_thread() {
    if (parked_ > waiting_ || threads_.size() >= wanted_)
        return true;
    auto thread = start_thread("nixl-worker", [this] { serve(); });
    if (!thread.ok())
        return !threads_.empty();
    threads_.push_back(std::move(thread).value());
    return true;
}

void WorkerPool::serve() {
    mutex_.lock();
    for (;;) {
        ++parked_;
        while (waiting_ == 0 && !stopping_)
            ready_.wait(mutex_);
        --parked_;
        if (waiting_ == 0)
            break;
        const Item item = ring_[first_];
        first_ = (first_ + 1) % MAX_WAITING;
        --waiting_;
        mutex_.unlock();
        item.work(item.argument);
        mutex_.lock();
    }
    mutex_.unlock();
}

} // namespace nixl::core
