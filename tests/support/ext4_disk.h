// SPDX-License-Identifier: Apache-2.0
// An ext4 file system of one's own that can be frozen: whoever writes to it then sleeps in the
// kernel, as with a server that does not answer. Needs root; for children, see SmallDisk.
#pragma once

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "tests/support/loop_device.h"
#include "tests/support/small_disk.h"

namespace nixl::test {

class Ext4Disk {
  public:
    Ext4Disk() : memory_("64m"), image_(make_image()), device_(image_) {
        if (!reason_.empty())
            return;
        reason_ = device_.reason();
        const std::string point = memory_.path("mounted");
        if (!reason_.empty())
            return;
        if (::mkdir(point.c_str(), 0700) != 0 ||
            ::mount(device_.path().c_str(), point.c_str(), "ext4", 0, nullptr) != 0) {
            reason_ = std::string("mount ext4: ") + std::strerror(errno);
            return;
        }
        mounted_ = true;
        root_.reset(::open(point.c_str(), O_RDONLY | O_CLOEXEC));
    }
    ~Ext4Disk() {
        thaw();
        root_.reset();
        if (mounted_)
            ::umount2(memory_.path("mounted").c_str(), MNT_DETACH);
    }
    Ext4Disk(const Ext4Disk&) = delete;
    Ext4Disk& operator=(const Ext4Disk&) = delete;

    [[nodiscard]] const std::string& reason() const { return reason_; } ///< "": it is there
    [[nodiscard]] std::string path(const std::string& name) const {
        return memory_.path("mounted/") + name;
    }
    /// Of the memory that it lies in: another file system, which is never frozen.
    [[nodiscard]] std::string path_beside(const char* name) const { return memory_.path(name); }

    [[nodiscard]] bool freeze() const { return ::ioctl(root_.get(), FIFREEZE, 0) == 0; }
    void thaw() const { ::ioctl(root_.get(), FITHAW, 0); } ///< nothing where it is not frozen

  private:
    std::string make_image() {
        reason_ = memory_.reason();
        std::string image = memory_.path("image");
        if (!reason_.empty())
            return image;
        const core::Descriptor made(::open(image.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        if (::ftruncate(made.get(), 32 << 20) != 0 ||
            std::system(("mkfs.ext4 -q " + image + " 2>&1").c_str()) != 0)
            reason_ = "mkfs.ext4 is missing";
        return image;
    }

    std::string reason_;
    SmallDisk memory_;
    std::string image_;
    LoopDevice device_;
    core::Descriptor root_;
    bool mounted_ = false;
};

} // namespace nixl::test
