// SPDX-License-Identifier: Apache-2.0
// Starting and ending the library: the default context that most programs use, and contexts of
// one's own.
#pragma once

#include <string>

#include <nixl/config.hpp>

namespace nixl {

/// Opens the default context. May be left out: the first use opens it with the environment's
/// settings. When it is open already, nothing happens if every given setting has that value; throws
/// ALREADY_EXISTS if one has another.
inline void initialize(const Config& config = {}) {
    const detail::SettingList settings(config);
    nixl_context ignored{};
    detail::check(nixl_default_open(settings.first(), settings.count(), &ignored));
}

/// Waits for transfers in flight (at most the setting drain_timeout) and closes the default
/// context. Memory from Buffer::allocate() is gone afterwards. Objects that still live stay safe to
/// destroy; using them throws. Nothing happens when the context is not open. initialize() may
/// follow.
inline void finalize() { detail::check(nixl_default_close()); }

/// The default context, opened if need be.
inline nixl_context default_context() {
    nixl_context context{};
    detail::check(nixl_default_context(&context));
    return context;
}

/// A context of one's own, beside the default one. Threads: any.
class Context {
  public:
    explicit Context(const Config& config = {}) {
        const detail::SettingList settings(config);
        detail::check(nixl_context_open(settings.first(), settings.count(), &handle_));
    }
    ~Context() {
        if (handle_.generation != 0)
            (void)nixl_context_close(
                handle_); // a failure is in the log; there is no caller to tell
    }
    Context(Context&& other) noexcept : handle_(std::exchange(other.handle_, nixl_context{})) {}
    Context& operator=(Context&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;

    /// Like finalize(), and tells what went wrong.
    void close() { detail::check(nixl_context_close(std::exchange(handle_, nixl_context{}))); }

    /// Where a function takes `nixl_context`, a Context does. Stale after close() or a move.
    operator nixl_context() const noexcept { return handle_; }

  private:
    nixl_context handle_{};
};

/// Changes one setting of an open context.
inline void configure(const std::string& name, const std::string& value,
                      nixl_context context = default_context()) {
    const nixl_setting setting{name.c_str(), value.c_str()};
    detail::check(nixl_context_configure(context, &setting, 1));
}

/// JSON about "config", "backends", "plugins", "paths", "capabilities", "memory", "metrics" or
/// "abandoned".
inline std::string report(const std::string& section, nixl_context context = default_context()) {
    return detail::read_text([&](char* out, std::size_t capacity, std::size_t* needed) {
        return nixl_report(context, section.c_str(), out, capacity, needed);
    });
}

} // namespace nixl
