// SPDX-License-Identifier: Apache-2.0
#include "common/scratch_file.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <vector>

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/failure.h"
#include "common/units.h"

namespace nixl::tools {

namespace {

// Left free, so that a benchmark is not what fills a disk; less of a small one, to leave it of use.
constexpr std::uint64_t RESERVE_BYTES = 64ull << 20, SMALL_DISK_SHARE = 8;

struct statvfs disk_of(const std::string& path) {
    struct statvfs figures {};
    if (statvfs(path.c_str(), &figures) != 0)
        throw system_failure("looking for free space in " + path, errno);
    return figures;
}

std::uint64_t free_bytes_of(const struct statvfs& figures) {
    return static_cast<std::uint64_t>(figures.f_bavail) * figures.f_frsize;
}

} // namespace

void Descriptor::close() noexcept {
    if (fd_ >= 0)
        ::close(std::exchange(fd_, -1));
}

Descriptor open_descriptor(const std::string& path, int flags) {
    Descriptor file(::open(path.c_str(), flags | O_CLOEXEC, 0600));
    if (!file.is_open())
        throw system_failure("opening " + path, errno);
    return file;
}

std::string temporary_folder() {
    const char* named = std::getenv("TMPDIR");
    return named != nullptr && named[0] != '\0' ? named : "/tmp";
}

std::uint64_t free_disk_bytes(const std::string& path) { return free_bytes_of(disk_of(path)); }

void check_disk_space(const std::string& folder, std::uint64_t bytes, std::uint64_t held_bytes,
                      const std::string& advice) {
    if (bytes <= held_bytes)
        return;
    const struct statvfs figures = disk_of(folder);
    const std::uint64_t free_bytes = free_bytes_of(figures);
    const std::uint64_t reserve =
        std::min(RESERVE_BYTES, figures.f_blocks * figures.f_frsize / SMALL_DISK_SHARE);
    const std::uint64_t usable = free_bytes > reserve ? free_bytes - reserve : 0;
    if (bytes - held_bytes > usable)
        throw Failure(EXIT_ERROR, "a file of " + format_size(bytes) + " does not fit into " +
                                      folder + ": the most that fits is " +
                                      format_size(usable + held_bytes) + advice);
}

ScratchFile::ScratchFile(const std::string& folder, std::uint64_t bytes) {
    const std::string place = folder.empty() ? temporary_folder() : folder;
    check_disk_space(place, bytes, 0, "; TMPDIR names another folder");
    const std::string pattern = place + "/nixl-XXXXXX";
    std::vector<char> name(pattern.c_str(), pattern.c_str() + pattern.size() + 1);
    Descriptor file(mkostemp(name.data(), O_CLOEXEC));
    if (!file.is_open())
        throw system_failure("making a file in " + place, errno);
    path_ = name.data();
    const int error = bytes == 0 ? 0 : posix_fallocate(file.get(), 0, static_cast<off_t>(bytes));
    if (error != 0) {
        remove();
        throw system_failure("allocating " + format_size(bytes) + " in " + place, error);
    }
}

void ScratchFile::remove() noexcept {
    if (!path_.empty() && !kept_)
        ::unlink(path_.c_str());
    kept_ = true;
}

} // namespace nixl::tools
