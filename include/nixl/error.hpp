// SPDX-License-Identifier: Apache-2.0
// What this library throws. Nothing is ever thrown through the C ABI or out of a destructor.
#pragma once

#include <cstdio>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include <nixl/status.hpp>

namespace nixl {

/// Base of everything that the library throws. what(): what failed, on what, in the system's words,
/// and what to do about it.
class NIXLException : public std::runtime_error {
  public:
    NIXLException(Code code, const std::string& message, std::string hint = {})
        : std::runtime_error(hint.empty() ? message : message + " (" + hint + ")"), code_(code),
          hint_(std::make_shared<const std::string>(std::move(hint))) {}

    explicit NIXLException(const nixl_error& error)
        : NIXLException(static_cast<Code>(error.code), error.message, error.hint) {
        detail_ = error.detail;
        retry_ = error.retry;
    }

    [[nodiscard]] Code code() const noexcept { return code_; }
    /// What to do; empty when there is nothing to advise.
    [[nodiscard]] const std::string& hint() const noexcept { return *hint_; }
    /// errno, CUresult, HTTP status ...; 0 when there is none.
    [[nodiscard]] int detail() const noexcept { return detail_; }
    /// Whether doing the same again, now or later, can help.
    [[nodiscard]] bool can_retry() const noexcept { return retry_ != NIXL_RETRY_NEVER; }

  private:
    Code code_;
    int detail_ = 0;
    unsigned retry_ = NIXL_RETRY_NEVER;
    std::shared_ptr<const std::string> hint_; // shared, so that copying the exception cannot throw
};

/// Bytes did not arrive: what transfer() throws when the copy itself fails. Wrong arguments are
/// plain NIXLExceptions.
class TransferError : public NIXLException {
  public:
    using NIXLException::NIXLException;
};

namespace detail {

[[noreturn]] inline void throw_last_error(nixl_status status) {
    nixl_error error = NIXL_INIT(nixl_error);
    nixl_last_error(&error);
    if (error.code != status)
        throw NIXLException(static_cast<Code>(status), nixl_status_name(status));
    throw NIXLException(error);
}

inline void check(nixl_status status) {
    if (status != NIXL_OK)
        throw_last_error(status);
}

/// For failures that no caller is left to hear of. Must not fail itself.
inline void complain(const char* what, const char* why) noexcept {
    std::fprintf(stderr, "nixl: ERROR: %s: %s\n", what, why);
}

/// For what goes on, but not as it was asked for.
inline void warn(const std::string& what) noexcept {
    std::fprintf(stderr, "nixl: WARN: %s\n", what.c_str());
}

/// Calls read(out, capacity, needed) until the text fits, and returns it.
template <typename Read> std::string read_text(Read read) {
    std::string text(1024, '\0');
    for (;;) {
        std::size_t needed = 0;
        check(read(&text[0], text.size(), &needed));
        if (needed <= text.size()) {
            text.resize(needed == 0 ? 0 : needed - 1); // without the terminator
            return text;
        }
        text.resize(needed);
    }
}

} // namespace detail
} // namespace nixl
