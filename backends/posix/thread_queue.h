// SPDX-License-Identifier: Apache-2.0
// The engine for places where io_uring is not permitted or not built in: blocking calls on threads.
#pragma once

#include <memory>

#include "queue.h"

namespace nixl::core::posix {

std::unique_ptr<Queue> open_thread_queue(const QueueParts& parts);

} // namespace nixl::core::posix
