// SPDX-License-Identifier: Apache-2.0
// HOT
#include "thread_queue.h"

#include "blocking_calls.h"
#include "options.h"

namespace nixl::core::posix {
namespace {

class ThreadQueue final : public Queue {
  public:
    explicit ThreadQueue(const QueueParts& parts)
        : flow_(parts.depth_ops, parts.options.merge_bytes, parts.waiting, parts.number),
          calls_(parts.host, parts.host_queue, parts.pool, flow_.operation_count()) {}

    uint64_t submit(const nixl_batch& batch) noexcept override {
        const uint64_t accepted = flow_.accept(batch);
        if (accepted > 0)
            refill();
        return accepted;
    }

    uint32_t poll(nixl_completion* out, uint32_t capacity) noexcept override {
        Sink sink(out, capacity);
        flow_.collect(sink);
        calls_.collect(flow_, sink);
        refill();
        flow_.collect(sink);
        return sink.used();
    }

    void cancel(uint64_t tag) noexcept override {
        flow_.cancel(tag);
        for (uint32_t i = 0; i < flow_.operation_count(); ++i)
            if (flow_.is_in_kernel(i, tag))
                BlockingCalls::drop(flow_.operation(i));
    }
    bool arm() noexcept override { return !flow_.has_work() && !calls_.has_work(); }
    int fd() noexcept override { return -1; }
    int assist() noexcept override { return calls_.assist(); }

  private:
    void refill() noexcept {
        while (Operation* const operation = flow_.next())
            calls_.start(*operation);
    }

    Flow flow_;
    BlockingCalls calls_;
};

} // namespace

std::unique_ptr<Queue> open_thread_queue(const QueueParts& parts) {
    // allow(hot): the control call that opens a queue
    return std::make_unique<ThreadQueue>(parts);
}

} // namespace nixl::core::posix
