// SPDX-License-Identifier: Apache-2.0
// The log's state is process-wide and has no destructor, so that lines written at exit still come
// out.
#include "base/log.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <new>
#include <pthread.h>
#include <unistd.h>

namespace nixl::core {
namespace {

constexpr size_t MAX_CAUSES = 1024;
constexpr size_t MAX_LINE_BYTES = 16384;

struct Sink {
    nixl_log_fn call = nullptr;
    void* user = nullptr;
};

// Relaxed everywhere: a thread that sees a new level late writes a line more or less.
constinit std::atomic<int> level_now{static_cast<int>(Level::WARN)};
constinit std::atomic<bool> level_chosen{false};

// Held while the sink runs: that gives "one line at a time" and "not called after it was replaced".
constinit std::mutex sink_mutex;
constinit Sink sink; // guarded by sink_mutex
constinit std::mutex causes_mutex;
constinit uint64_t causes[MAX_CAUSES]; // hashes; guarded by causes_mutex
constinit size_t cause_count = 0;      // guarded by causes_mutex

/// In the child of a fork a mutex that another thread held stays locked for ever, so both start
/// anew. They are not taken before the fork: the sink may be waiting for a lock that the forking
/// thread holds.
void after_fork_in_child() {
    new (&sink_mutex) std::mutex;
    new (&causes_mutex) std::mutex;
}

[[maybe_unused]] const int fork_hook = pthread_atfork(nullptr, nullptr, after_fork_in_child);

const char* level_name(Level level) noexcept {
    constexpr const char* names[] = {"ERROR", "WARN", "INFO", "DEBUG", "TRACE"};
    return names[std::clamp(static_cast<int>(level), 0, 4)];
}

const char* base_name(const char* path) noexcept {
    const char* slash = path == nullptr ? nullptr : std::strrchr(path, '/');
    return slash != nullptr ? slash + 1 : (path == nullptr ? "" : path);
}

/// One write per line, so that lines of several threads and processes do not mix.
void write_to_stderr(Level level, const char* file, int line, std::string_view text) {
    std::string out = std::string("nixl ") + level_name(level) + ": ";
    const size_t start = out.size();
    out += text.substr(0, MAX_LINE_BYTES);
    std::replace(out.begin() + static_cast<std::ptrdiff_t>(start), out.end(), '\n', ' ');
    if (log_enabled(Level::DEBUG))
        out += std::string(" [") + base_name(file) + ":" + std::to_string(line) + "]";
    out += '\n';
    // Interrupted before the first byte: again. Anything else: there is nobody to tell.
    while (::write(STDERR_FILENO, out.data(), out.size()) < 0 && errno == EINTR) {}
}

} // namespace

bool log_enabled(Level level) noexcept {
    return static_cast<int>(level) <= level_now.load(std::memory_order_relaxed);
}

void log_set_level(Level level) noexcept {
    level_chosen.store(true, std::memory_order_relaxed);
    level_now.store(static_cast<int>(level), std::memory_order_relaxed);
}

bool log_level_chosen() noexcept { return level_chosen.load(std::memory_order_relaxed); }

void LogLevelUse::set(Level level) noexcept {
    if (!used_)
        before_ = log_level();
    used_ = true;
    level_ = level;
    level_now.store(static_cast<int>(level), std::memory_order_relaxed);
}

LogLevelUse::~LogLevelUse() {
    auto mine = static_cast<int>(level_);
    if (used_)
        level_now.compare_exchange_strong(mine, static_cast<int>(before_),
                                          std::memory_order_relaxed);
}

Level log_level() noexcept { return static_cast<Level>(level_now.load(std::memory_order_relaxed)); }

void log_set_sink(nixl_log_fn call, void* user) {
    const std::lock_guard lock(sink_mutex);
    sink = {call, user};
}

void log_write(Level level, const char* file, int line, std::string_view text) {
    if (!log_enabled(level))
        return;
    const int error = errno; // a log line must not change what its caller is about to report
    std::unique_lock lock(sink_mutex);
    if (sink.call != nullptr) {
        sink.call(sink.user, static_cast<int>(level), base_name(file), line,
                  std::string(text).c_str());
    } else {
        lock.unlock(); // whoever reads standard error may be slow
        write_to_stderr(level, file, line, text);
    }
    errno = error;
}

bool log_first_time(std::string_view cause) {
    uint64_t hash = 0xcbf29ce484222325u; // FNV-1a: two causes of one process do not meet by chance
    for (const char c : cause)
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;

    const std::lock_guard lock(causes_mutex);
    uint64_t* const end = causes + cause_count;
    if (std::find(causes, end, hash) != end || cause_count == MAX_CAUSES)
        return false;
    causes[cause_count++] = hash;
    return true;
}

} // namespace nixl::core
