// SPDX-License-Identifier: Apache-2.0
#include "region.h"

#include <algorithm>
#include <cerrno>
#include <string>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace nixl::core::posix {
namespace {

constexpr uint32_t SAFE_ALIGN_BYTES = 4096; // a multiple of every logical block size in use
constexpr uint32_t MAX_ALIGN_BYTES = 1u << 20;

struct DirectAlignment {
    uint32_t offset_bytes = 0; // 0: the file cannot do direct I/O
    uint32_t memory_bytes = 0;
};

bool is_power_of_two(uint32_t value) { return value != 0 && (value & (value - 1)) == 0; }

DirectAlignment direct_alignment(int fd, bool is_block) {
#ifdef STATX_DIOALIGN
    struct statx answer = {};
    if (::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &answer) == 0 &&
        (answer.stx_mask & STATX_DIOALIGN) != 0) {
        const DirectAlignment told = {answer.stx_dio_offset_align, answer.stx_dio_mem_align};
        if (told.offset_bytes == 0)
            return {};
        if (is_power_of_two(told.offset_bytes) && is_power_of_two(told.memory_bytes) &&
            told.offset_bytes <= MAX_ALIGN_BYTES && told.memory_bytes <= MAX_ALIGN_BYTES)
            return told;
    }
#endif
    int logical_bytes = 0;
    if (is_block && ::ioctl(fd, BLKSSZGET, &logical_bytes) == 0 && logical_bytes > 0 &&
        is_power_of_two(static_cast<uint32_t>(logical_bytes)))
        return {static_cast<uint32_t>(logical_bytes), static_cast<uint32_t>(logical_bytes)};
    return {SAFE_ALIGN_BYTES, SAFE_ALIGN_BYTES};
}

/// The same file once more, with other flags: a duplicate would share them.
int reopen(int fd, const char* uri, int flags) {
    const std::string self = "/proc/self/fd/" + std::to_string(fd);
    int opened = ::open(self.c_str(), flags | O_CLOEXEC);
    if (opened >= 0 || errno != ENOENT || uri == nullptr)
        return opened;
    // No /proc. The name may point to another file by now, so compare.
    opened = ::open(uri, flags | O_CLOEXEC);
    struct stat ours = {}, theirs = {};
    if (opened >= 0 && (::fstat(fd, &ours) != 0 || ::fstat(opened, &theirs) != 0 ||
                        ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino)) {
        Descriptor(opened).reset();
        errno = ESTALE;
        return -1;
    }
    return opened;
}

} // namespace

Result<void> Region::attach(const nixl_region_desc& desc) {
    switch (desc.kind) {
    case NIXL_KIND_HOST:
    case NIXL_KIND_PINNED:
        base = reinterpret_cast<std::byte*>(static_cast<uintptr_t>(desc.address));
        bytes = desc.bytes;
        return {};
    case NIXL_KIND_FILE:
    case NIXL_KIND_BLOCK:
        return attach_storage(desc);
    default:
        return Error(Code::UNSUPPORTED,
                     "posix serves host memory, files and block devices, not kind " +
                         std::to_string(desc.kind));
    }
}

Result<void> Region::flush() const {
    if (!is_storage)
        return {};
    int result = 0;
    do
        result = ::fdatasync(cached_fd);
    while (result != 0 && errno == EINTR);
    // EINVAL, EROFS: it cannot be written and so has nothing to keep.
    if (result != 0 && errno != EINVAL && errno != EROFS)
        return Error::system("fdatasync", errno);
    return {};
}

Result<void> Region::attach_storage(const nixl_region_desc& desc) {
    name = desc.uri != nullptr ? desc.uri : "file";
    struct stat status = {};
    if (desc.fd < 0)
        return Error(Code::INVALID_ARGUMENT, name + ": no open descriptor was given");
    const int flags = ::fcntl(desc.fd, F_GETFL);
    if (flags < 0 || ::fstat(desc.fd, &status) != 0)
        return Error::system("fstat " + name, errno);
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
        return Error(Code::UNSUPPORTED, name + " is neither a regular file nor a block device");

    is_storage = true;
    if (S_ISBLK(status.st_mode)) // devices know no such limit
        known_writable_bytes = UINT64_MAX;
    // A device has many names, each with a number of its own.
    identity_ = S_ISBLK(status.st_mode)
                    ? std::pair<uint64_t, uint64_t>{status.st_rdev, 0}
                    : std::pair<uint64_t, uint64_t>{status.st_dev, status.st_ino};
    bytes = desc.bytes;
    file_offset = desc.address;
    cached_fd = desc.fd;
    writes_in_turn = S_ISREG(status.st_mode) && (flags & O_ACCMODE) != O_RDONLY;
    if ((flags & O_DIRECT) != 0) {
        reopened_cached_.reset(reopen(desc.fd, desc.uri, flags & (O_ACCMODE | O_SYNC)));
        if (!reopened_cached_.open())
            return Error::system("open " + name + " without O_DIRECT", errno);
        cached_fd = reopened_cached_.get();
    }
    if ((desc.flags & NIXL_REGION_DIRECT) != 0)
        open_direct(desc, flags, S_ISBLK(status.st_mode));
    return {};
}

void Region::open_direct(const nixl_region_desc& desc, int status_flags, bool is_block) {
    const DirectAlignment align = direct_alignment(desc.fd, is_block);
    if (align.offset_bytes == 0) {
        not_direct = "the file system does not offer direct I/O on it";
        return;
    }
    const int flags = (status_flags & (O_ACCMODE | O_SYNC)) | O_DIRECT;
    reopened_direct_.reset(reopen(desc.fd, desc.uri, flags));
    if (!reopened_direct_.open()) {
        not_direct = "open with O_DIRECT: " + errno_text(errno);
        return;
    }
    direct_offset_align_bytes = align.offset_bytes;
    direct_memory_align_bytes = align.memory_bytes;
    direct_fd = reopened_direct_.get();
    // A device refuses what lies behind its end by itself.
    if (is_block)
        known_file_bytes = UINT64_MAX;
}

void Region::tell_cached(uint64_t offset, uint64_t length, const void* memory) const noexcept {
    const bool for_memory = ((offset | length) & (direct_offset_align_bytes - 1)) == 0;
    if (for_memory && (reinterpret_cast<uintptr_t>(memory) & (direct_memory_align_bytes - 1)) == 0)
        return;
    std::atomic<bool>& told = for_memory ? told_of_memory : told_of_offsets;
    if (owner != nullptr)
        owner->went_cached(*this, for_memory, !told.load() && !told.exchange(true));
}

/// Cold: asks for the limit once per MiB that writes come further than before, and again for each
/// one behind it. Lowered later, it is not seen below the place that was asked for.
bool Region::is_below_limit(uint64_t offset) const noexcept {
    constexpr uint64_t STEP_BYTES = 1u << 20;
    struct rlimit limit = {};
    if (::getrlimit(RLIMIT_FSIZE, &limit) != 0)
        return true;
    if (limit.rlim_cur != RLIM_INFINITY && offset >= limit.rlim_cur)
        return false;
    const uint64_t end = offset + std::min(STEP_BYTES, UINT64_MAX - offset);
    known_writable_bytes.store(
        limit.rlim_cur == RLIM_INFINITY ? end : std::min<uint64_t>(end, limit.rlim_cur),
        std::memory_order_relaxed);
    return true;
}

/// Cold: looks at the file again, because `end` lies behind its known size.
bool Region::grew_to(uint64_t end) const noexcept {
    struct stat now = {};
    if (::fstat(cached_fd, &now) != 0 || now.st_size < 0)
        return false;
    // relaxed: a number that stands alone.
    known_file_bytes.store(static_cast<uint64_t>(now.st_size), std::memory_order_relaxed);
    return end <= static_cast<uint64_t>(now.st_size);
}

} // namespace nixl::core::posix
