// SPDX-License-Identifier: Apache-2.0
// HOT
// The calls of the data path: posting, polling, waiting, ending requests.
#include "capi/context_table.h"
#include "capi/refusals.h"

using namespace nixl::core;

namespace {

constexpr PostOptions NO_OPTIONS;

Code take_options(Transfers& transfers, const nixl_post_options& options,
                  PostOptions& out) noexcept {
    out.done = options.done;
    out.user = options.user;
    out.stream = options.stream;
    out.notification = options.notification;
    out.notification_bytes = options.notification_bytes;
    out.deadline_ns = options.deadline_ns;
    out.path_policy = options.path_policy;
    out.wait = (options.flags & NIXL_POST_WAIT) != 0;
    if (options.opcode != 0 || options.deadline_ns < 0 || (options.flags & ~NIXL_POST_WAIT) != 0 ||
        options.path_policy > NIXL_PATH_REQUIRE_DIRECT)
        return Code::INVALID_ARGUMENT;
    if (out.wait && thread_role().in_callback != 0 && thread_role().progress_of == &transfers)
        return Code::BUSY;
    if (options.queue.generation != 0) {
        out.queue = transfers.find_queue(options.queue);
        out.queue_generation = options.queue.generation;
        if (out.queue == nullptr)
            return Code::STALE;
    }
    return Code::OK;
}

/// Options of an older, shorter form are completed with zeros; those of today are read in place.
Code read_options(Transfers& transfers, const nixl_post_options* given, PostOptions& out) noexcept {
    if (given == nullptr)
        return Code::OK;
    if (given->struct_size >= sizeof *given)
        return take_options(transfers, *given, out);
    nixl_post_options options{};
    __builtin_memcpy(&options, given, given->struct_size);
    return take_options(transfers, options, out);
}

nixl_status after_post(Context& context, Request& request, uint32_t generation, Code posted,
                       const PostOptions& options) noexcept {
    if (posted != Code::OK && request.pipeline != nullptr && refuse_staging(posted))
        return last_code();
    if (posted == Code::UNSUPPORTED && options.stream != nullptr && !request.route->joins_streams)
        return refuse_stream();
    if (posted == Code::OUT_OF_RANGE ||
        (posted == Code::UNSUPPORTED && options.notification_bytes != 0 &&
         options.path_policy != NIXL_PATH_REQUIRE_DIRECT))
        return refuse_note(posted);
    if (posted == Code::AGAIN)
        return refuse_full(context.transfers(), options);
    if (posted != Code::OK)
        return refuse_post(posted);
    if (!options.wait)
        return NIXL_OK;
    const Code code = context.transfers().wait(request, generation, -1);
    if (code == Code::INTERRUPTED) // goes on, and its poster has stopped driving it
        context.transfers().watch(request, generation);
    return code == Code::STALE ? refuse_stale() : static_cast<nixl_status>(code);
}

} // namespace

extern "C" {

nixl_status nixl_request_post(nixl_context context, nixl_request request,
                              const nixl_post_options* given) {
    const Call call(context);
    if (!call)
        return last_code();
    Request* slot = call->transfers().find(request);
    if (slot == nullptr)
        return refuse_stale();
    if (given == nullptr) {
        const Code posted = call->transfers().post(*slot, request.generation, NO_OPTIONS);
        return posted == Code::OK
                   ? NIXL_OK
                   : after_post(*call, *slot, request.generation, posted, NO_OPTIONS);
    }
    PostOptions options;
    if (const Code code = read_options(call->transfers(), given, options); code != Code::OK)
        return refuse_options(code);
    return after_post(*call, *slot, request.generation,
                      call->transfers().post(*slot, request.generation, options), options);
}

nixl_status nixl_request_post_indexed(nixl_context context, nixl_request request,
                                      const uint32_t* source_indices,
                                      const uint32_t* target_indices, uint64_t count,
                                      const nixl_post_options* given) {
    const Call call(context);
    if (!call)
        return last_code();
    Request* slot = call->transfers().find(request);
    if (slot == nullptr)
        return refuse_stale();
    if (source_indices == nullptr && count > 0)
        return refuse_no_output();
    PostOptions options;
    if (const Code code = read_options(call->transfers(), given, options); code != Code::OK)
        return refuse_options(code);
    uint64_t bad = 0;
    const uint32_t* targets = target_indices != nullptr ? target_indices : source_indices;
    const Code posted = call->transfers().post_indexed(
        *slot, request.generation, {source_indices, count}, {targets, count}, options, &bad);
    if (posted == Code::NOT_FOUND)
        return fail(Code::UNSUPPORTED, "the request was not made over two lists",
                    "use nixl_request_create_lists()");
    if (bad < count && (posted == Code::OUT_OF_RANGE || posted == Code::INVALID_ARGUMENT))
        return refuse_index(posted, bad, source_indices[bad], targets[bad]);
    return after_post(*call, *slot, request.generation, posted, options);
}

nixl_status nixl_transfer_start(nixl_context context, nixl_buffer source, nixl_buffer target,
                                const nixl_post_options* given, nixl_request* out) {
    const Call call(context);
    if (!call)
        return last_code();
    if (out == nullptr)
        return refuse_no_output();
    PostOptions options;
    if (const Code code = read_options(call->transfers(), given, options); code != Code::OK)
        return refuse_options(code);
    const Region* region = call->regions().find(source);
    if (region == nullptr)
        return fail(Code::STALE, "the source buffer was freed");
    auto made = call->transfers().create_range({source, target, 0, 0, region->bytes});
    if (!made.ok())
        return fail(made.error());
    Request& slot = *made.value();
    *out = Transfers::handle_of(slot);
    const Code posted = call->transfers().post(slot, out->generation, options);
    const nixl_status status = after_post(*call, slot, out->generation, posted, options);
    if (posted != Code::OK) {
        (void)call->transfers().release(slot, out->generation);
        *out = {};
    }
    return status;
}

nixl_status nixl_request_poll(nixl_context context, nixl_request request) {
    const Call call(context);
    if (!call)
        return last_code();
    Request* slot = call->transfers().find(request);
    return slot != nullptr
               ? static_cast<nixl_status>(call->transfers().poll(*slot, request.generation))
               : refuse_stale();
}

uint64_t nixl_request_poll_many(nixl_context context, const nixl_request* requests, uint64_t count,
                                nixl_status* out) {
    const Call call(context);
    uint64_t terminal = 0;
    for (uint64_t i = 0; i < count; ++i) {
        Request* slot = call ? call->transfers().find(requests[i]) : nullptr;
        out[i] =
            !call ? last_code()
            : slot == nullptr
                ? refuse_stale()
                : static_cast<nixl_status>(call->transfers().poll(*slot, requests[i].generation));
        terminal += out[i] != NIXL_IN_PROGRESS ? 1 : 0;
    }
    return terminal;
}

nixl_status nixl_request_wait(nixl_context context, nixl_request request, int64_t timeout_ns) {
    const Call call(context);
    if (!call)
        return last_code();
    Request* slot = call->transfers().find(request);
    if (slot == nullptr)
        return refuse_stale();
    const Code code = call->transfers().wait(*slot, request.generation, timeout_ns);
    if (code == Code::BUSY)
        return refuse_wait();
    return code == Code::STALE ? refuse_stale() : static_cast<nixl_status>(code);
}

nixl_status nixl_request_cancel(nixl_context context, nixl_request request) {
    const Call call(context);
    if (!call)
        return last_code();
    Request* slot = call->transfers().find(request);
    if (slot == nullptr)
        return refuse_stale();
    return call->transfers().cancel(*slot, request.generation) == Code::OK ? NIXL_OK
                                                                           : refuse_stale();
}

nixl_status nixl_request_release(nixl_context context, nixl_request request) {
    const Call call(context);
    if (!call)
        return last_code();
    Request* slot = call->transfers().find(request);
    const Code code =
        slot != nullptr ? call->transfers().release(*slot, request.generation) : Code::STALE;
    if (code == Code::OK)
        return NIXL_OK;
    return code == Code::STALE ? refuse_stale()
                               : fail(code, "the request is in flight and its runs are borrowed",
                                      "wait for it, or cancel it and wait");
}

} // extern "C"
