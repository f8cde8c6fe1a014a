// SPDX-License-Identifier: Apache-2.0
#include "thread_pool.h"

#include <algorithm>
#include <cerrno>
#include <new>

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

Result<void> ThreadPool::start(uint32_t threads) {
    MutexLock lock(mutex_);
    const size_t before = threads_.size();
    while (threads_.size() < std::min(threads, thread_count_)) {
        auto thread = start_thread("nixl-posix", [this] { loop(); });
        if (!thread && threads_.empty())
            return std::move(thread).error();
        if (!thread)
            break;
        threads_.push_back(std::move(thread).value());
    }
    started_.store(static_cast<uint32_t>(threads_.size()));
    if (threads_.size() > before)
        offer_parked(); // the limits are higher now
    return {};
}

/// Those that may still not run are parked again by the thread that takes them.
void ThreadPool::offer_parked() noexcept {
    const MutexLock lock(parked_mutex_);
    while (!parked_.empty() && run(parked_.front())) {
        parked_.pop_front();
        parked_count_.fetch_sub(1);
    }
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
        serve(job);
    }
}

void ThreadPool::serve(Job job) noexcept {
    if (!claim(*job.group) && park(job))
        return;
    do {
        const int64_t result = job.work(job.owner, job.argument);
        release(*job.group);
        job.done(job.owner, job.argument, result);
    } while (take_parked(&job));
}

/// A claim that is taken back may have kept another one out: that of a job of the same group, which
/// the outer group has no thread for either. Whoever ends a job there takes it.
bool ThreadPool::claim(Group& group) const noexcept {
    const uint32_t started = started_.load();
    const uint32_t most = started > group.spared ? started - group.spared : 1;
    uint32_t threads = group.threads.load();
    do {
        if (threads >= most)
            return false;
    } while (!group.threads.compare_exchange_weak(threads, threads + 1));
    if (group.outer == nullptr || claim(*group.outer))
        return true;
    group.threads.fetch_sub(1);
    return false;
}

void ThreadPool::occupy(Group& group) noexcept {
    group.threads.fetch_add(1);
    if (group.outer != nullptr)
        occupy(*group.outer);
}

void ThreadPool::release(Group& group) noexcept {
    group.threads.fetch_sub(1);
    if (group.outer != nullptr)
        release(*group.outer);
}

/// False: there was a thread for it after all, and it is claimed.
bool ThreadPool::park(const Job& job) noexcept {
    const MutexLock lock(parked_mutex_);
    // Counted before the look at the group: a thread that leaves the group after it sees the count
    // (both seq_cst) and comes for the job.
    parked_count_.fetch_add(1);
    if (claim(*job.group)) {
        parked_count_.fetch_sub(1);
        return false;
    }
    try {
        parked_.push_back(job);
    } catch (const std::bad_alloc&) { // rather one thread of the group too many than a lost job
        parked_count_.fetch_sub(1);
        occupy(*job.group);
        return false;
    }
    return true;
}

bool ThreadPool::take_parked(Job* job) noexcept {
    if (parked_count_.load() == 0)
        return false;
    const MutexLock lock(parked_mutex_);
    const auto found = std::find_if(parked_.begin(), parked_.end(),
                                    [&](const Job& waiting) { return claim(*waiting.group); });
    if (found == parked_.end())
        return false;
    *job = *found;
    parked_.erase(found);
    parked_count_.fetch_sub(1);
    return true;
}

} // namespace nixl::core::posix
