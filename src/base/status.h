// SPDX-License-Identifier: Apache-2.0
// Status codes and the text that goes with them. Data path: Code alone. Control path: Error,
// Result<T>.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <nixl/types.h>

namespace nixl::core {

/// The numbers of nixl/types.h as a type of their own.
enum class Code : int32_t {
    OK = NIXL_OK,
    IN_PROGRESS = NIXL_IN_PROGRESS,
    INTERRUPTED = NIXL_INTERRUPTED,
    INVALID_ARGUMENT = NIXL_INVALID_ARGUMENT,
    OUT_OF_RANGE = NIXL_OUT_OF_RANGE,
    NOT_FOUND = NIXL_NOT_FOUND,
    ALREADY_EXISTS = NIXL_ALREADY_EXISTS,
    UNSUPPORTED = NIXL_UNSUPPORTED,
    PERMISSION_DENIED = NIXL_PERMISSION_DENIED,
    NO_MEMORY = NIXL_NO_MEMORY,
    AGAIN = NIXL_AGAIN,
    BUSY = NIXL_BUSY,
    STALE = NIXL_STALE,
    TIMED_OUT = NIXL_TIMED_OUT,
    CANCELLED = NIXL_CANCELLED,
    DISCONNECTED = NIXL_DISCONNECTED,
    IO_ERROR = NIXL_IO_ERROR,
    SHORT_TRANSFER = NIXL_SHORT_TRANSFER,
    CORRUPT = NIXL_CORRUPT,
    NO_SPACE = NIXL_NO_SPACE,
    INTERNAL = NIXL_INTERNAL,
};

enum class Scope : uint8_t { REQUEST, PEER, BACKEND, PROCESS };
enum class Retry : uint8_t { NEVER, NOW, LATER };

/// "OUT_OF_RANGE"; "UNKNOWN" for a number that is none of ours.
[[nodiscard]] const char* code_name(Code code) noexcept;
/// The narrowest code for an errno: ENOSPC is NO_SPACE, EIO is IO_ERROR ...
[[nodiscard]] Code code_from_errno(int error) noexcept;
/// The system's words for an errno ("No space left on device").
[[nodiscard]] std::string errno_text(int error);

/// What failed, on what, in the system's words, and what to do.
struct [[nodiscard]] Error {
    Code code = Code::INTERNAL;
    std::string message;
    std::string hint = {};
    int32_t detail = 0;
    Scope scope = Scope::REQUEST;
    Retry retry = Retry::NEVER;

    Error(Code c, std::string text, std::string remedy = {})
        : code(c), message(std::move(text)), hint(std::move(remedy)) {
        if (c == Code::AGAIN || c == Code::BUSY || c == Code::TIMED_OUT)
            retry = Retry::LATER;
    }

    /// "open /x: No such file or directory", with the errno's code and detail.
    static Error system(std::string what, int error, std::string remedy = {}) {
        Error e(code_from_errno(error), std::move(what) + ": " + errno_text(error),
                std::move(remedy));
        e.detail = error;
        return e;
    }

    /// Adds on the way up: "context: message".
    Error within(std::string_view context) && {
        message.insert(0, std::string(context) + ": ");
        return std::move(*this);
    }
};

/// A value or an Error.
template <typename T> class [[nodiscard]] Result {
  public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    [[nodiscard]] bool ok() const noexcept { return state_.index() == 0; }
    explicit operator bool() const noexcept { return ok(); }
    T& value() & { return std::get<0>(state_); }
    const T& value() const& { return std::get<0>(state_); }
    T&& value() && { return std::get<0>(std::move(state_)); }
    Error& error() & { return std::get<1>(state_); }
    const Error& error() const& { return std::get<1>(state_); }
    Error&& error() && { return std::get<1>(std::move(state_)); }

  private:
    std::variant<T, Error> state_;
};

template <> class [[nodiscard]] Result<void> {
  public:
    Result() = default;
    Result(Error error) : error_(std::move(error)) {}

    [[nodiscard]] bool ok() const noexcept { return !error_.has_value(); }
    explicit operator bool() const noexcept { return ok(); }
    Error& error() & { return *error_; }
    const Error& error() const& { return *error_; }
    Error&& error() && { return std::move(*error_); }

  private:
    std::optional<Error> error_;
};

} // namespace nixl::core

#define NIXL_CONCAT_(a, b) a##b
#define NIXL_CONCAT(a, b) NIXL_CONCAT_(a, b)
/// Passes the error up, else goes on.
#define NIXL_RETURN_IF_ERROR(expression)                                                           \
    do {                                                                                           \
        if (auto nixl_result_ = (expression); !nixl_result_.ok())                                  \
            return std::move(nixl_result_).error();                                                \
    } while (0)
/// Passes the error up, else assigns the value: NIXL_ASSIGN_OR_RETURN(auto file, File::open(path));
#define NIXL_ASSIGN_OR_RETURN(target, expression)                                                  \
    auto NIXL_CONCAT(nixl_result_, __LINE__) = (expression);                                       \
    if (!NIXL_CONCAT(nixl_result_, __LINE__).ok())                                                 \
        return std::move(NIXL_CONCAT(nixl_result_, __LINE__)).error();                             \
    target = std::move(NIXL_CONCAT(nixl_result_, __LINE__)).value()
