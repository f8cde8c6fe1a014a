// SPDX-License-Identifier: Apache-2.0
// What requests say of themselves; completion queues; peers.
#include "capi/context_table.h"

using namespace nixl::core;

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
    if (queue == nullptr)
        return fail(Code::STALE, "the completion queue was closed already");
    nixl_event unread[16];
    while (queue->take(unread, 16) != 0) {}
    if (queue->reserved() != 0)
        return fail(Code::BUSY, "transfers in flight still owe the queue events",
                    "wait for them, then close");
    auto& queues = call->transfers().queues();
    queues.retire(*queue);
    queue->close();
    queues.give(*queue);
    return NIXL_OK;
}

nixl_status nixl_queue_poll(nixl_context context, nixl_queue handle, nixl_event* out,
                            uint32_t capacity, uint32_t* count) {
    const Call call(context);
    if (!call)
        return last_code();
    CompletionQueue* queue = call->transfers().find_queue(handle);
    if (queue == nullptr || out == nullptr || count == nullptr)
        return fail(queue == nullptr ? Code::STALE : Code::INVALID_ARGUMENT,
                    queue == nullptr ? "the completion queue was closed"
                                     : "an output argument is NULL");
    *count = queue->take(out, capacity);
    if (*count == 0 && queue->reserved() != 0) {
        call->transfers().drive();
        *count = queue->take(out, capacity);
    }
    return NIXL_OK;
}

nixl_status nixl_queue_arm(nixl_context context, nixl_queue handle) {
    const Call call(context);
    if (!call)
        return last_code();
    CompletionQueue* queue = call->transfers().find_queue(handle);
    if (queue == nullptr)
        return fail(Code::STALE, "the completion queue was closed");
    return to_status(call->transfers().arm(*queue));
}

nixl_status nixl_queue_fd(nixl_context context, nixl_queue handle, int* out) {
    const Call call(context);
    if (!call)
        return last_code();
    const CompletionQueue* queue = call->transfers().find_queue(handle);
    if (queue == nullptr || out == nullptr)
        return fail(queue == nullptr ? Code::STALE : Code::INVALID_ARGUMENT,
                    queue == nullptr ? "the completion queue was closed" : "out is NULL");
    *out = queue->fd();
    return NIXL_OK;
}

} // extern "C"
