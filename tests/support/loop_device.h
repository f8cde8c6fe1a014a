// SPDX-License-Identifier: Apache-2.0
// A block device of one's own: a file behind a loop device. Needs root.
#pragma once

#include <string>

#include "base/descriptor.h"

namespace nixl::test {

/// Attached as long as it lives, and not longer than the process.
///
/// Threads: one thread.
class LoopDevice {
  public:
    explicit LoopDevice(const std::string& file);
    LoopDevice(const LoopDevice&) = delete;
    LoopDevice& operator=(const LoopDevice&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] const std::string& reason() const { return reason_; } ///< "": it is there
    [[nodiscard]] int fd() const { return fd_.get(); }

  private:
    bool attach(int control, int backing);

    std::string path_, reason_;
    core::Descriptor fd_;
};

} // namespace nixl::test
