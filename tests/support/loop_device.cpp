// SPDX-License-Identifier: Apache-2.0
#include "tests/support/loop_device.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

namespace nixl::test {
namespace {

// Whoever asks for a free number gets the same one until somebody has taken it, so each try can be
// lost to another process, and this many in a row cannot.
constexpr int MOST_TRIES = 100;

} // namespace

LoopDevice::LoopDevice(const std::string& file) {
    const core::Descriptor control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    if (!control.open()) {
        reason_ = std::string("/dev/loop-control: ") + std::strerror(errno);
        return;
    }
    const core::Descriptor backing(::open(file.c_str(), O_RDWR | O_CLOEXEC));
    if (!backing.open()) {
        reason_ = file + ": " + std::strerror(errno);
        return;
    }
    for (int i = 0; i < MOST_TRIES; ++i)
        if (attach(control.get(), backing.get()))
            return;
}

/// False: another process was faster; try again.
bool LoopDevice::attach(int control, int backing) {
    const int number = ::ioctl(control, LOOP_CTL_GET_FREE);
    if (number < 0) {
        reason_ = std::string("LOOP_CTL_GET_FREE: ") + std::strerror(errno);
        return true;
    }
    path_ = "/dev/loop" + std::to_string(number);
    core::Descriptor fd(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
    loop_info64 how = {};
    how.lo_flags = LO_FLAGS_AUTOCLEAR; // goes with the last descriptor, whatever becomes of us
    if (fd.open() && ::ioctl(fd.get(), LOOP_SET_FD, backing) == 0 &&
        ::ioctl(fd.get(), LOOP_SET_STATUS64, &how) == 0) {
        fd_ = std::move(fd);
        reason_.clear();
        return true;
    }
    const int error = errno;
    reason_ = path_ + ": " + std::strerror(error);
    return error != EBUSY && error != ENXIO; // taken, or on its way out
}

} // namespace nixl::test
