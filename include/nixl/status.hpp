// SPDX-License-Identifier: Apache-2.0
// How a transfer stands, and the codes that errors carry. Names and values are the same in Python.
#pragma once

#include <cstdint>

#include <nixl/nixl_c.h>

namespace nixl {

/// TIMEOUT is what wait_for() answers while the transfer goes on, and the end of a transfer whose
/// deadline passed. PENDING: prepared, never posted.
enum class TransferStatus { PENDING, IN_PROGRESS, SUCCESS, FAILED, CANCELLED, TIMEOUT };

/// The numbers of nixl/types.h.
enum class Code : std::int32_t {
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
    INTERNAL = NIXL_INTERNAL
};

/// "OUT_OF_RANGE"; static.
inline const char* to_string(Code code) noexcept {
    return nixl_status_name(static_cast<nixl_status>(code));
}

inline const char* to_string(TransferStatus status) noexcept {
    switch (status) {
    case TransferStatus::PENDING:
        return "PENDING";
    case TransferStatus::IN_PROGRESS:
        return "IN_PROGRESS";
    case TransferStatus::SUCCESS:
        return "SUCCESS";
    case TransferStatus::FAILED:
        return "FAILED";
    case TransferStatus::CANCELLED:
        return "CANCELLED";
    case TransferStatus::TIMEOUT:
        return "TIMEOUT";
    }
    return "UNKNOWN";
}

/// "0.1.0"; static.
inline const char* version() noexcept { return nixl_version(); }

namespace detail {

inline TransferStatus transfer_status(nixl_status code) noexcept {
    switch (code) {
    case NIXL_OK:
        return TransferStatus::SUCCESS;
    case NIXL_IN_PROGRESS:
    case NIXL_INTERRUPTED:
        return TransferStatus::IN_PROGRESS;
    case NIXL_CANCELLED:
        return TransferStatus::CANCELLED;
    case NIXL_TIMED_OUT:
        return TransferStatus::TIMEOUT;
    default:
        return TransferStatus::FAILED;
    }
}

} // namespace detail
} // namespace nixl
