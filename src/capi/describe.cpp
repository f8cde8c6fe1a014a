// SPDX-License-Identifier: Apache-2.0
// What requests say of themselves; completion queues; peers.
#include "capi/context_table.h"

#include "capi/refusals.h"

using namespace nixl::core;

namespace {

/// A queue that stays open while the call lasts.
class QueueUse {
  public:
    QueueUse(Transfers& transfers, nixl_queue handle) noexcept
        : queue_(transfers.find_queue(handle)) {
        if (queue_ != nullptr && !queue_->enter(handle.generation))
            queue_ = nullptr;
    }
    ~QueueUse() {
        if (queue_ != nullptr)
            queue_->leave();
    }
    QueueUse(const QueueUse&) = delete;
    QueueUse& operator=(const QueueUse&) = delete;
    explicit operator bool() const noexcept { return queue_ != nullptr; }
    CompletionQueue* operator->() const noexcept { return queue_; }
    CompletionQueue& operator*() const noexcept { return *queue_; }

  private:
    CompletionQueue* queue_;
};

nixl_status refuse_closed_queue() noexcept {
    return fail(Code::STALE, "the completion queue was closed");
}

} // namespace

extern "C" {

nixl_status nixl_request_describe(nixl_context context, nixl_request request,
                                  nixl_request_description* out) {
    const Call call(context);
    if (!call)
        return last_code();
    Request* slot = call->transfers().find(request);
    if (slot == nullptr || out == nullptr)
        return fail(slot == nullptr ? Code::STALE : Code::INVALID_ARGUMENT,
                    slot == nullptr ? "the request was released" : "out is NULL");
    nixl_request_description description{};
    description.legs = slot->route->leg_count;
    description.direct = slot->route->direct() ? 1 : 0;
    description.simulated = slot->route->simulated ? 1 : 0;
    description.first_bad_element = UINT64_MAX;
    call->transfers().look_at(*slot, request.generation, [&] {
        description.status = static_cast<nixl_status>(slot->load().status);
        description.bytes_wanted = slot->view.bytes;
        description.elements = slot->view.elements;
        description.bytes_done = slot->bytes_done;
        description.elements_done = slot->elements_done;
        if (slot->first_bad != UINT64_MAX)
            description.first_bad_element = call->transfers().user_element(*slot);
        description.posted_ns = slot->posted_ns;
        description.completed_ns = slot->completed_ns;
        description.detail = slot->detail;
    });
    fill_struct(out, description);
    return NIXL_OK;
}

nixl_status nixl_request_error(nixl_context context, nixl_request request, nixl_error* out) {
    const Call call(context);
    if (!call)
        return last_code();
    Request* slot = call->transfers().find(request);
    if (slot == nullptr || out == nullptr)
        return fail(slot == nullptr ? Code::STALE : Code::INVALID_ARGUMENT,
                    slot == nullptr ? "the request was released" : "out is NULL");
    call->transfers().look_at(*slot, request.generation, [&] {
        const Code status = slot->load().status;
        if (status == Code::OK || status == Code::IN_PROGRESS)
            fill_error(Error(status, ""), out);
        else
            fill_error(call->transfers().error_of(*slot), out);
    });
    return NIXL_OK;
}

nixl_status nixl_request_path(nixl_context context, nixl_request request, char* out,
                              size_t capacity, size_t* needed) {
    const Call call(context);
    if (!call)
        return last_code();
    const Request* slot = call->transfers().find(request);
    if (slot == nullptr)
        return fail(Code::STALE, "the request was released");
    return copy_text(call->path_of(*slot), out, capacity, needed);
}

nixl_status nixl_explain(nixl_context context, nixl_buffer source, nixl_buffer target,
                         uint64_t bytes, char* out, size_t capacity, size_t* needed) {
    const Call call(context);
    if (!call)
        return last_code();
    const auto text = call->explain(source, target, bytes);
    return text.ok() ? copy_text(text.value(), out, capacity, needed) : fail(text.error());
}

nixl_status nixl_queue_open(nixl_context context, uint32_t depth, nixl_queue* out) {
    const Call call(context);
    if (!call)
        return last_code();
    if (out == nullptr)
        return fail(Code::INVALID_ARGUMENT, "out is NULL");
    auto& queues = call->transfers().queues();
    CompletionQueue* queue = queues.take();
    if (queue == nullptr)
        return fail(Code::AGAIN, "all completion queues are in use", "close queues");
    const auto opened = queue->open(depth);
    if (!opened.ok()) {
        queues.retire(*queue);
        queues.give(*queue);
        return fail(opened.error());
    }
    *out = {queue->index, queue->generation.load()};
    return NIXL_OK;
}

nixl_status nixl_queue_close(nixl_context context, nixl_queue handle) {
    const Call call(context);
    if (!call)
        return last_code();
    CompletionQueue* queue = call->transfers().find_queue(handle);
    const Code closed = queue != nullptr ? queue->close(handle.generation) : Code::STALE;
    if (closed == Code::STALE)
        return fail(closed, "the completion queue was closed already");
    if (closed != Code::OK)
        return fail(closed, "transfers in flight still owe the queue events",
                    "wait for them, then close");
    call->transfers().queues().give(*queue);
    return NIXL_OK;
}

nixl_status nixl_queue_poll(nixl_context context, nixl_queue handle, nixl_event* out,
                            uint32_t capacity, uint32_t* count) {
    const Call call(context);
    if (!call)
        return last_code();
    const QueueUse queue(call->transfers(), handle);
    if (!queue)
        return refuse_closed_queue();
    if (out == nullptr || count == nullptr)
        return refuse_no_output();
    *count = queue->take(out, capacity);
    if (*count == 0 && queue->owes()) {
        call->transfers().drive();
        *count = queue->take(out, capacity);
    }
    return NIXL_OK;
}

nixl_status nixl_queue_arm(nixl_context context, nixl_queue handle) {
    const Call call(context);
    if (!call)
        return last_code();
    const QueueUse queue(call->transfers(), handle);
    if (!queue)
        return refuse_closed_queue();
    return to_status(call->transfers().arm(*queue));
}

nixl_status nixl_queue_fd(nixl_context context, nixl_queue handle, int* out) {
    const Call call(context);
    if (!call)
        return last_code();
    const QueueUse queue(call->transfers(), handle);
    if (!queue)
        return refuse_closed_queue();
    if (out == nullptr)
        return refuse_no_output();
    *out = queue->fd();
    return NIXL_OK;
}

} // extern "C"
