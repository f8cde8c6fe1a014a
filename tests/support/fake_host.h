// SPDX-License-Identifier: Apache-2.0
// A real host for tests of single backends: worker pool, settings, captured log, clock, wake-ups
// that a test can wait for, bounded staging memory.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <nixl/backend.h>

#include "base/descriptor.h"

namespace nixl::test {

/// Threads: any thread. Must outlive what was opened with it.
class FakeHost {
  public:
    struct LogLine {
        int level;
        std::string text;
    };

    explicit FakeHost(uint32_t workers = 2);
    ~FakeHost(); ///< waits for queued and running work
    FakeHost(const FakeHost&) = delete;
    FakeHost& operator=(const FakeHost&) = delete;

    [[nodiscard]] const nixl_host_v1* table() const noexcept { return &table_; }
    /// To take services away: `host.edit().wake = nullptr`. Before it is used.
    [[nodiscard]] nixl_host_v1& edit() noexcept { return table_; }

    FakeHost& set(const std::string& key, const std::string& value);

    /// From now on now_ns() is what the test says.
    void set_clock_ns(uint64_t now) noexcept { fake_now_ns_.store(now); }
    void advance_clock_ns(uint64_t by) noexcept { fake_now_ns_.fetch_add(by); }

    /// run() answers AGAIN when this many works wait. 0 refuses all.
    void limit_waiting_works(size_t limit);
    /// Workers take no new work until release_workers().
    void hold_workers();
    void release_workers();
    /// False when work was still queued or running at the deadline.
    [[nodiscard]] bool wait_until_idle(std::chrono::milliseconds limit);

    [[nodiscard]] uint64_t wakes(void* host_queue) const;
    /// Waits until there were at least `count` wakes in all. False at the deadline.
    [[nodiscard]] bool wait_for_wakes(void* host_queue, uint64_t count,
                                      std::chrono::milliseconds limit) const;
    /// Readable after a wake of this queue until it is read: for a driver that also sleeps on the
    /// queue's own descriptor. Owned by the host.
    [[nodiscard]] int wake_fd(void* host_queue);

    [[nodiscard]] std::vector<LogLine> log_lines() const;
    [[nodiscard]] bool logged(const std::string& part) const;
    [[nodiscard]] uint64_t counted(const std::string& counter) const;
    [[nodiscard]] uint64_t works_run() const;
    [[nodiscard]] size_t staging_in_use() const;
    /// staging_get() answers NULL beyond this.
    void limit_staging_bytes(uint64_t limit);

  private:
    struct Work {
        void (*function)(void*);
        void* argument;
    };

    static FakeHost& of(void* host) noexcept { return *static_cast<FakeHost*>(host); }
    void fill_table(uint32_t workers);
    void fill_staging();
    void work_loop();

    nixl_host_v1 table_{};
    std::atomic<uint64_t> fake_now_ns_{0}; // 0: the real clock

    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    std::map<std::string, std::string> settings_;
    std::vector<LogLine> log_;
    std::map<std::string, uint32_t> counter_numbers_;
    std::vector<uint64_t> counters_;
    std::map<void*, uint64_t> wakes_;
    std::map<void*, core::EventFd> wake_fds_;
    std::map<void*, uint64_t> staging_; // pieces and their bytes
    uint64_t staging_limit_ = UINT64_MAX;
    std::deque<Work> works_;
    size_t works_limit_ = SIZE_MAX;
    uint64_t works_run_ = 0;
    uint32_t running_ = 0;
    bool held_ = false;
    bool closing_ = false;
    std::vector<std::thread> threads_;
};

} // namespace nixl::test
