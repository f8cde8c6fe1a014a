// SPDX-License-Identifier: Apache-2.0
// A small levelled log. Lines go to standard error, or to the function that the host program set.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <nixl/nixl_c.h>

namespace nixl::core {

enum class Level : int { ERROR = 0, WARN = 1, INFO = 2, DEBUG = 3, TRACE = 4 };

/// Threads: any thread, all of these.
[[nodiscard]] bool log_enabled(Level level) noexcept;
void log_set_level(Level level) noexcept;
/// Whether log_set_level() was called: the program chose, and what merely lies in the environment
/// does not make it quieter.
[[nodiscard]] bool log_level_chosen() noexcept;
/// The level of a context, while it is open: it ends with the context, unless it was changed since.
///
/// Threads: one thread.
class LogLevelUse {
  public:
    LogLevelUse() = default;
    LogLevelUse(const LogLevelUse&) = delete;
    LogLevelUse& operator=(const LogLevelUse&) = delete;
    ~LogLevelUse();
    void set(Level level) noexcept;

  private:
    bool used_ = false;
    Level level_ = Level::WARN, before_ = Level::WARN;
};
[[nodiscard]] Level log_level() noexcept;
/// nullptr: standard error, one line per call, never to standard output.
void log_set_sink(nixl_log_fn sink, void* user);
void log_write(Level level, const char* file, int line, std::string_view text);
/// True the first time in this process that this cause is named (at most 1,024 causes are kept).
[[nodiscard]] bool log_first_time(std::string_view cause);

} // namespace nixl::core

/// NIXL_LOG(WARN, "backend " + name + " is off: " + reason); the text is built only when wanted.
#define NIXL_LOG(level, text)                                                                      \
    do {                                                                                           \
        if (::nixl::core::log_enabled(::nixl::core::Level::level))                                 \
            ::nixl::core::log_write(::nixl::core::Level::level, __FILE__, __LINE__, (text));       \
    } while (0)
