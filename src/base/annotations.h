// SPDX-License-Identifier: Apache-2.0
// Names the lock next to what it guards; clang checks it (-Wthread-safety), other compilers ignore
// it.
#pragma once

#include <mutex>

#if defined(__clang__)
#define NIXL_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define NIXL_THREAD_ATTRIBUTE(x)
#endif

#define CAPABILITY(name) NIXL_THREAD_ATTRIBUTE(capability(name))
#define SCOPED_CAPABILITY NIXL_THREAD_ATTRIBUTE(scoped_lockable)
#define GUARDED_BY(lock) NIXL_THREAD_ATTRIBUTE(guarded_by(lock))
#define REQUIRES(...) NIXL_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) NIXL_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define ACQUIRE(...) NIXL_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define RELEASE(...) NIXL_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))
#define TRY_ACQUIRE(...) NIXL_THREAD_ATTRIBUTE(try_acquire_capability(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS NIXL_THREAD_ATTRIBUTE(no_thread_safety_analysis)

namespace nixl::core {

/// std::mutex that the analysis knows. Also a BasicLockable, for std::condition_variable_any.
class CAPABILITY("mutex") Mutex {
  public:
    void lock() ACQUIRE() { mutex_.lock(); }
    void unlock() RELEASE() { mutex_.unlock(); }
    bool try_lock() TRY_ACQUIRE(true) { return mutex_.try_lock(); }

  private:
    std::mutex mutex_;
};

class SCOPED_CAPABILITY MutexLock {
  public:
    explicit MutexLock(Mutex& mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
    ~MutexLock() RELEASE() { mutex_.unlock(); }
    MutexLock(const MutexLock&) = delete;
    MutexLock& operator=(const MutexLock&) = delete;

  private:
    Mutex& mutex_;
};

} // namespace nixl::core
