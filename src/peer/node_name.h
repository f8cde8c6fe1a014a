// SPDX-License-Identifier: Apache-2.0
// The name by which peers know a context, held against other contexts of this machine.
#pragma once

#include <string>

#include "base/descriptor.h"

namespace nixl::core {

/// Several processes may be given one node id, the ranks of a job for instance; each needs a name
/// of its own, or connecting to one would fence the other. Yet a process that comes back after a
/// crash has to get its old name. So a name is held by an abstract socket, which ends with the
/// process: the first context is "node-1", those beside it "node-1#2", "node-1#3" ...
///
/// Threads: immutable.
class NodeName {
  public:
    /// `wanted` as it is where no such sockets can be made.
    static NodeName hold(const std::string& wanted);

    [[nodiscard]] const std::string& text() const noexcept { return text_; }

  private:
    NodeName(std::string text, Descriptor held) : text_(std::move(text)), held_(std::move(held)) {}
    std::string text_;
    Descriptor held_;
};

} // namespace nixl::core
