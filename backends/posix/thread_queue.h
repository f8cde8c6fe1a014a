// SPDX-License-Identifier: Apache-2.0
// The engine for places where io_uring is not permitted or not built in: blocking calls on threads.
#pragma once

#include <memory>

#include "options.h"
#include "queue.h"
#include "thread_pool.h"

namespace nixl::core::posix {

/// Lifetime: the pool outlives the queue.
std::unique_ptr<Queue> open_thread_queue(const sdk::Host& host, const Options& options,
                                         uint32_t depth_ops, void* host_queue, ThreadPool& pool);

} // namespace nixl::core::posix
