// SPDX-License-Identifier: Apache-2.0
// HOT
#include "thread_queue.h"

#include <cerrno>
#include <thread>

#include <sys/uio.h>

#include "bounded_ring.h"
#include "flow.h"

namespace nixl::core::posix {
namespace {

class ThreadQueue final : public Queue {
  public:
    ThreadQueue(const sdk::Host& host, const Options& options, uint32_t depth_ops, void* host_queue,
                ThreadPool& pool, WaitingQueues& waiting, uint32_t number)
        : host_(host), host_queue_(host_queue), pool_(pool),
          flow_(depth_ops, options.merge_bytes, waiting, number), results_(depth_ops) {}

    ~ThreadQueue() override {
        // The last result may be here before its thread has returned from host->wake(). That is a
        // matter of microseconds, and there is nothing to sleep on that the thread would not touch
        // afterwards.
        while (threads_inside_.load() != 0)
            std::this_thread::yield();
    }

    uint64_t submit(const nixl_batch& batch) noexcept override {
        const uint64_t accepted = flow_.accept(batch);
        if (accepted > 0)
            refill();
        return accepted;
    }

    uint32_t poll(nixl_completion* out, uint32_t capacity) noexcept override {
        Sink sink(out, capacity);
        flow_.collect(sink);
        Finished finished;
        while (sink.has_room() && results_.pop(&finished))
            flow_.finish(*finished.operation, finished.result, sink);
        refill();
        flow_.collect(sink);
        return sink.used();
    }

    void cancel(uint64_t tag) noexcept override { flow_.cancel(tag); }
    bool arm() noexcept override {
        return !flow_.has_work() && refused_ == nullptr && results_.is_empty();
    }
    int fd() noexcept override { return -1; }
    int assist() noexcept override { return 0; } // the calls block, so they stay on their threads

  private:
    struct Finished {
        Operation* operation = nullptr;
        int64_t result = 0;
    };

    void refill() noexcept {
        for (;;) {
            Operation* const operation = refused_ != nullptr ? refused_ : flow_.next();
            if (operation == nullptr)
                return;
            refused_ = nullptr;
            threads_inside_.fetch_add(1);
            if (pool_.run({&operation->storage->file->threads, &ThreadQueue::work,
                           &ThreadQueue::done, this, operation}))
                continue;
            threads_inside_.fetch_sub(1);
            refused_ = operation; // the pool is full of other queues' work
            return;
        }
    }

    static int64_t work(void*, void* operation) {
        return transfer(*static_cast<Operation*>(operation));
    }

    static void done(void* self, void* operation, int64_t result) {
        auto& queue = *static_cast<ThreadQueue*>(self);
        // Has room for the whole depth.
        queue.results_.push({static_cast<Operation*>(operation), result});
        queue.host_.wake(queue.host_queue_);
        queue.threads_inside_.fetch_sub(1); // the queue may be gone after this
    }

    static int64_t transfer(const Operation& operation) noexcept {
        const auto offset = static_cast<off_t>(operation.file_offset);
        const auto count = static_cast<int>(operation.call_vectors());
        const uint64_t whole_bytes = operation.vectors->iov_len;
        // A contiguous operation that goes on alone has all its elements in one vector.
        const iovec one = {operation.vectors->iov_base,
                           count == 1 ? operation.call_bytes() : whole_bytes};
        const iovec* const vectors = count == 1 ? &one : operation.vectors;
        for (;;) {
            const ssize_t moved = operation.is_write
                                      ? ::pwritev(operation.fd(), vectors, count, offset)
                                      : ::preadv(operation.fd(), vectors, count, offset);
            if (moved >= 0)
                return moved;
            if (errno != EINTR)
                return -errno;
        }
    }

    const sdk::Host& host_;
    void* const host_queue_;
    ThreadPool& pool_;
    Flow flow_;
    BoundedRing<Finished> results_;
    Operation* refused_ = nullptr;
    std::atomic<uint32_t> threads_inside_{0};
};

} // namespace

std::unique_ptr<Queue> open_thread_queue(const sdk::Host& host, const Options& options,
                                         uint32_t depth_ops, void* host_queue, ThreadPool& pool,
                                         WaitingQueues& waiting, uint32_t number) {
    // allow(hot): the control call that opens a queue
    return std::make_unique<ThreadQueue>(host, options, depth_ops, host_queue, pool, waiting,
                                         number);
}

} // namespace nixl::core::posix
