// SPDX-License-Identifier: Apache-2.0
// The services behind the table, the pool and the captured results.
#include "tests/support/fake_host.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace nixl::test {
namespace {

uint64_t steady_now_ns() {
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                     std::chrono::steady_clock::now().time_since_epoch())
                                     .count());
}

int64_t copy_text(const std::string& text, char* out, size_t out_bytes) {
    if (out != nullptr && out_bytes != 0) {
        const size_t length = std::min(text.size(), out_bytes - 1);
        std::memcpy(out, text.data(), length);
        out[length] = '\0';
    }
    return static_cast<int64_t>(text.size());
}

} // namespace

FakeHost::FakeHost(uint32_t workers) {
    fill_table(workers);
    fill_staging();
    for (uint32_t i = 0; i < workers; ++i)
        threads_.emplace_back([this] { work_loop(); });
}

FakeHost::~FakeHost() {
    {
        const std::lock_guard lock(mutex_);
        closing_ = true;
        held_ = false;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_)
        thread.join();
}

void FakeHost::fill_table(uint32_t workers) {
    table_.struct_size = sizeof table_;
    table_.abi = NIXL_BACKEND_ABI;
    table_.host = this;
    table_.log = [](void* host, int level, const char*, int, const char* text) {
        const std::lock_guard lock(of(host).mutex_);
        of(host).log_.push_back({level, text});
    };
    table_.config_get = [](void* host, const char* key, char* out, size_t out_bytes) -> int64_t {
        const std::lock_guard lock(of(host).mutex_);
        const auto found = of(host).settings_.find(key);
        return found == of(host).settings_.end() ? -1 : copy_text(found->second, out, out_bytes);
    };
    table_.counter = [](void* host, const char* name) {
        FakeHost& self = of(host);
        const std::lock_guard lock(self.mutex_);
        const auto number = static_cast<uint32_t>(self.counters_.size());
        const auto [place, is_new] = self.counter_numbers_.emplace(name, number);
        if (is_new)
            self.counters_.push_back(0);
        return place->second;
    };
    table_.count = [](void* host, uint32_t counter, uint64_t add) {
        const std::lock_guard lock(of(host).mutex_);
        of(host).counters_.at(counter) += add;
    };
    table_.now_ns = [](void* host) {
        const uint64_t fake = of(host).fake_now_ns_.load();
        return fake != 0 ? fake : steady_now_ns();
    };
    table_.wake = [](void* host, void* host_queue) {
        const std::lock_guard lock(of(host).mutex_);
        ++of(host).wakes_[host_queue];
        if (const auto found = of(host).wake_fds_.find(host_queue);
            found != of(host).wake_fds_.end())
            found->second.signal();
        of(host).changed_.notify_all();
    };
    table_.run = [](void* host, void (*work)(void*), void* argument) -> nixl_status {
        FakeHost& self = of(host);
        const std::lock_guard lock(self.mutex_);
        if (self.threads_.empty() || self.works_.size() >= self.works_limit_)
            return NIXL_AGAIN;
        self.works_.push_back({work, argument});
        self.changed_.notify_all();
        return NIXL_OK;
    };
    // A number, not threads_.size(): asked while the constructor may still start threads.
    table_.workers = workers == 0 ? [](void*) { return 0u; } : [](void* host) {
        return static_cast<uint32_t>(of(host).threads_.size());
    };
}

void FakeHost::fill_staging() {
    table_.staging_get = [](void* host, uint32_t, int32_t, uint64_t bytes) -> void* {
        FakeHost& self = of(host);
        const std::lock_guard lock(self.mutex_);
        uint64_t used = 0;
        for (const auto& piece : self.staging_)
            used += piece.second;
        if (bytes == 0 || bytes > self.staging_limit_ || used > self.staging_limit_ - bytes)
            return nullptr;
        void* const piece = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
        if (piece != nullptr)
            self.staging_[piece] = bytes;
        return piece;
    };
    table_.staging_put = [](void* host, void* piece) {
        const std::lock_guard lock(of(host).mutex_);
        if (of(host).staging_.erase(piece) != 1)
            std::abort(); // given back twice, or never taken
        // allow(naked-new): what staging_get() of this host allocated.
        std::free(piece);
    };
}

void FakeHost::work_loop() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return (!works_.empty() && !held_) || closing_; });
        if (works_.empty())
            return;
        const Work work = works_.front();
        works_.pop_front();
        ++running_;
        lock.unlock();
        work.function(work.argument);
        lock.lock();
        --running_;
        ++works_run_;
        changed_.notify_all();
    }
}

FakeHost& FakeHost::set(const std::string& key, const std::string& value) {
    const std::lock_guard lock(mutex_);
    settings_[key] = value;
    return *this;
}

void FakeHost::limit_waiting_works(size_t limit) {
    const std::lock_guard lock(mutex_);
    works_limit_ = limit;
}

void FakeHost::hold_workers() {
    const std::lock_guard lock(mutex_);
    held_ = true;
}

void FakeHost::release_workers() {
    const std::lock_guard lock(mutex_);
    held_ = false;
    changed_.notify_all();
}

bool FakeHost::wait_until_idle(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [this] { return works_.empty() && running_ == 0; });
}

uint64_t FakeHost::wakes(void* host_queue) const {
    const std::lock_guard lock(mutex_);
    const auto found = wakes_.find(host_queue);
    return found == wakes_.end() ? 0 : found->second;
}

bool FakeHost::wait_for_wakes(void* host_queue, uint64_t count,
                              std::chrono::milliseconds limit) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [&] {
        const auto found = wakes_.find(host_queue);
        return (found == wakes_.end() ? 0 : found->second) >= count;
    });
}

int FakeHost::wake_fd(void* host_queue) {
    const std::lock_guard lock(mutex_);
    auto found = wake_fds_.find(host_queue);
    if (found == wake_fds_.end())
        found = wake_fds_.emplace(host_queue, core::EventFd::create().value()).first;
    return found->second.fd();
}

std::vector<FakeHost::LogLine> FakeHost::log_lines() const {
    const std::lock_guard lock(mutex_);
    return log_;
}

bool FakeHost::logged(const std::string& part) const {
    const std::lock_guard lock(mutex_);
    return std::any_of(log_.begin(), log_.end(), [&](const LogLine& line) {
        return line.text.find(part) != std::string::npos;
    });
}

uint64_t FakeHost::counted(const std::string& counter) const {
    const std::lock_guard lock(mutex_);
    const auto found = counter_numbers_.find(counter);
    return found == counter_numbers_.end() ? 0 : counters_[found->second];
}

uint64_t FakeHost::works_run() const {
    const std::lock_guard lock(mutex_);
    return works_run_;
}

size_t FakeHost::staging_in_use() const {
    const std::lock_guard lock(mutex_);
    return staging_.size();
}

void FakeHost::limit_staging_bytes(uint64_t limit) {
    const std::lock_guard lock(mutex_);
    staging_limit_ = limit;
}

} // namespace nixl::test
