// SPDX-License-Identifier: Apache-2.0
// The engine for places where io_uring is not permitted or not built in: blocking calls on threads.
#pragma once

#include <memory>

#include "options.h"
#include "queue.h"
#include "thread_pool.h"
#include "waiting_queues.h"

namespace nixl::core::posix {

/// `number`: of the queue in `waiting`. Lifetime: the pool and `waiting` outlive the queue.
std::unique_ptr<Queue> open_thread_queue(const sdk::Host& host, const Options& options,
                                         uint32_t depth_ops, void* host_queue, ThreadPool& pool,
                                         WaitingQueues& waiting, uint32_t number);

} // namespace nixl::core::posix
