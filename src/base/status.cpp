// SPDX-License-Identifier: Apache-2.0
#include "base/status.h"

#include <cerrno>
#include <system_error>

namespace nixl::core {

const char* code_name(Code code) noexcept {
    switch (code) {
    case Code::OK:
        return "OK";
    case Code::IN_PROGRESS:
        return "IN_PROGRESS";
    case Code::INTERRUPTED:
        return "INTERRUPTED";
    case Code::INVALID_ARGUMENT:
        return "INVALID_ARGUMENT";
    case Code::OUT_OF_RANGE:
        return "OUT_OF_RANGE";
    case Code::NOT_FOUND:
        return "NOT_FOUND";
    case Code::ALREADY_EXISTS:
        return "ALREADY_EXISTS";
    case Code::UNSUPPORTED:
        return "UNSUPPORTED";
    case Code::PERMISSION_DENIED:
        return "PERMISSION_DENIED";
    case Code::NO_MEMORY:
        return "NO_MEMORY";
    case Code::AGAIN:
        return "AGAIN";
    case Code::BUSY:
        return "BUSY";
    case Code::STALE:
        return "STALE";
    case Code::TIMED_OUT:
        return "TIMED_OUT";
    case Code::CANCELLED:
        return "CANCELLED";
    case Code::DISCONNECTED:
        return "DISCONNECTED";
    case Code::IO_ERROR:
        return "IO_ERROR";
    case Code::SHORT_TRANSFER:
        return "SHORT_TRANSFER";
    case Code::CORRUPT:
        return "CORRUPT";
    case Code::NO_SPACE:
        return "NO_SPACE";
    case Code::INTERNAL:
        return "INTERNAL";
    }
    return "UNKNOWN";
}

Code code_from_errno(int error) noexcept {
    switch (error) {
    case 0:
        return Code::OK;
    case EINTR:
        return Code::INTERRUPTED;
    case EINVAL:
    case EBADF:
    case EISDIR:
    case ENOTDIR:
    case ENAMETOOLONG:
    case EFAULT:
        return Code::INVALID_ARGUMENT;
    case ENOENT:
    case ENODEV:
    case ENXIO:
        return Code::NOT_FOUND;
    case EEXIST:
        return Code::ALREADY_EXISTS;
    case ENOSYS:
    case EOPNOTSUPP:
        return Code::UNSUPPORTED;
    case EACCES:
    case EPERM:
    case EROFS:
        return Code::PERMISSION_DENIED;
    case ENOMEM:
        return Code::NO_MEMORY;
    case EAGAIN:
    case EMFILE:
    case ENFILE:
        return Code::AGAIN;
    case EBUSY:
        return Code::BUSY;
    case ETIMEDOUT:
        return Code::TIMED_OUT;
    case ECANCELED:
        return Code::CANCELLED;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
        return Code::DISCONNECTED;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return Code::NO_SPACE;
    default:
        return Code::IO_ERROR;
    }
}

std::string errno_text(int error) { return std::generic_category().message(error); }

} // namespace nixl::core
