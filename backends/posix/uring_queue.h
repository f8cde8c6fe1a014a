// SPDX-License-Identifier: Apache-2.0
// The io_uring engine: one ring per queue, with the regions' descriptors and hot buffers
// registered.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "queue.h"

namespace nixl::core::posix {

/// Empty when rings can be made and entered here, else the reason ("io_uring_setup: Operation not
/// permitted").
[[nodiscard]] std::string uring_refusal();

Result<std::unique_ptr<Queue>> open_uring_queue(const QueueParts& parts);

} // namespace nixl::core::posix
