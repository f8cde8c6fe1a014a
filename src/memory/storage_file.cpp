// SPDX-License-Identifier: Apache-2.0
#include "memory/storage_file.h"

#include <cerrno>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nixl/nixl_c.h>

#include "base/checked.h"
#include "memory/region_table.h"

namespace nixl::core {

namespace {

/// Opens what is there; creates nothing unless `create`, and changes nothing. Never waits for the
/// other end of a FIFO or for a line of a terminal.
Descriptor open_path(const FileOptions& options, bool create) noexcept {
    const int access = (options.flags & NIXL_BUFFER_READ_ONLY) != 0 ? O_RDONLY : O_RDWR;
    return Descriptor(::open(options.path.c_str(),
                             O_CLOEXEC | O_NONBLOCK | O_NOCTTY | access | (create ? O_CREAT : 0),
                             0666));
}

Error outside(const FileOptions& options, uint64_t size) {
    return Error(Code::OUT_OF_RANGE, options.path + " has " + std::to_string(size) +
                                         " bytes; offset " + std::to_string(options.offset) +
                                         " and length " + std::to_string(options.bytes) +
                                         " lie outside");
}

std::string remedy(int error) {
    if (error == ENOENT)
        return "create it first, or open it with NIXL_BUFFER_CREATE";
    if (error == EACCES || error == EPERM)
        return "check the owner and mode of the path and of the folders above it";
    return "";
}

Error device_guard(const std::string& path) {
    return Error(Code::PERMISSION_DENIED,
                 path + " is a block device: writing to it destroys what it holds",
                 "open it read-only, or with force (NIXL_BUFFER_FORCE) when you mean it");
}

/// The size of what was opened. Regular files only, and block devices where they are allowed.
Result<uint64_t> measure(int fd, const FileOptions& options) {
    struct stat info {};
    if (::fstat(fd, &info) != 0)
        return Error::system("stat " + options.path, errno);
    if (S_ISREG(info.st_mode))
        return static_cast<uint64_t>(info.st_size);
    if (!S_ISBLK(info.st_mode))
        return Error(Code::INVALID_ARGUMENT,
                     options.path + " is neither a regular file nor a block device");
    if ((options.flags & (NIXL_BUFFER_READ_ONLY | NIXL_BUFFER_FORCE)) == 0)
        return device_guard(options.path);
    uint64_t bytes = 0;
    if (::ioctl(fd, BLKGETSIZE64, &bytes) != 0)
        return Error::system("ask " + options.path + " for its size", errno);
    return bytes;
}

} // namespace

Result<StorageFile> StorageFile::open(const FileOptions& options) {
    if (options.kind != NIXL_KIND_FILE && options.kind != NIXL_KIND_BLOCK)
        return Error(Code::INVALID_ARGUMENT, "kind " + std::to_string(options.kind) + " of " +
                                                 options.path + " is not FILE or BLOCK");
    if ((options.flags & NIXL_BUFFER_READ_ONLY) != 0 &&
        (options.flags & (NIXL_BUFFER_CREATE | NIXL_BUFFER_TRUNCATE)) != 0)
        return Error(Code::INVALID_ARGUMENT,
                     options.path + ": read-only does not go with create or truncate");
    // Everything that can be wrong is looked at before anything is created or cut.
    uint64_t end = 0;
    if (!checked_add(options.offset, options.bytes, &end) || end > static_cast<uint64_t>(INT64_MAX))
        return Error(Code::OUT_OF_RANGE,
                     options.path + ": offset " + std::to_string(options.offset) + " and length " +
                         std::to_string(options.bytes) + " reach past the largest file offset");
    StorageFile file;
    file.descriptor = open_path(options, false);
    if (!file.descriptor.open() && errno == ENOENT && (options.flags & NIXL_BUFFER_CREATE) != 0) {
        if (options.bytes == 0 && options.offset > 0)
            return outside(options, 0);
        file.descriptor = open_path(options, true);
    }
    if (!file.descriptor.open()) {
        const int why = errno;
        return Error::system("open " + options.path, why, remedy(why));
    }
    const int fd = file.descriptor.get();
    NIXL_ASSIGN_OR_RETURN(uint64_t size, measure(fd, options));
    if (::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) & ~O_NONBLOCK) != 0)
        return Error::system("set the mode of " + options.path, errno);
    struct stat info {};
    const bool device = ::fstat(fd, &info) == 0 && S_ISBLK(info.st_mode);
    const bool cut = (options.flags & NIXL_BUFFER_TRUNCATE) != 0 && !device;
    size = cut ? 0 : size;
    // A file may grow by being written, and a read past its end reports what was there.
    if (options.bytes == 0 ? options.offset > size : device && end > size)
        return outside(options, size);
    if (cut && ::ftruncate(fd, 0) != 0)
        return Error::system("truncate " + options.path, errno);
    file.bytes = options.bytes != 0 ? options.bytes : size - options.offset;
    return file;
}

} // namespace nixl::core
