// SPDX-License-Identifier: Apache-2.0
// A disk that is soon full, in a mount namespace of its own. Needs root; for children, as the
// namespace stays.
#pragma once

#include <cerrno>
#include <cstring>
#include <string>

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

namespace nixl::test {

class SmallDisk {
  public:
    /// `bytes`: as mount(8) reads it, "1m".
    explicit SmallDisk(const char* bytes) {
        if (::unshare(CLONE_NEWNS) != 0 ||
            ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
            reason_ = std::string("private mount namespace: ") + std::strerror(errno);
            return;
        }
        const std::string size = std::string("size=") + bytes;
        made_ = ::mkdtemp(folder_) != nullptr;
        mounted_ = made_ && ::mount("none", folder_, "tmpfs", 0, size.c_str()) == 0;
        if (!mounted_)
            reason_ = std::string("mount tmpfs: ") + std::strerror(errno);
    }
    ~SmallDisk() {
        if (mounted_)
            ::umount2(folder_, MNT_DETACH);
        if (made_)
            ::rmdir(folder_);
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;

    [[nodiscard]] const std::string& reason() const { return reason_; } ///< "": it is there
    [[nodiscard]] std::string path(const char* name) const {
        return std::string(folder_) + "/" + name;
    }

  private:
    char folder_[32] = "/tmp/nixl-small-disk-XXXXXX";
    std::string reason_;
    bool made_ = false, mounted_ = false;
};

} // namespace nixl::test
