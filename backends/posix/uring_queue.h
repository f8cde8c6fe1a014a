// SPDX-License-Identifier: Apache-2.0
// The io_uring engine: one ring per queue, with the regions' descriptors and hot buffers
// registered.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "flow.h"
#include "options.h"
#include "queue.h"

namespace nixl::core::posix {

/// Empty when rings can be made and entered here, else the reason ("io_uring_setup: Operation not
/// permitted").
[[nodiscard]] std::string uring_refusal();

/// `depth_ops`: most operations in the kernel. `number`: of the queue in `waiting`.
Result<std::unique_ptr<Queue>> open_uring_queue(const sdk::Host& host, const Options& options,
                                                uint32_t depth_ops, WaitingQueues& waiting,
                                                uint32_t number);

} // namespace nixl::core::posix
