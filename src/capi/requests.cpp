// SPDX-License-Identifier: Apache-2.0
// HOT
// nixl_request_*, nixl_transfer_start: the calls of the data path.
#include "capi/context_table.h"

using namespace nixl::core;

namespace {

constexpr uint32_t COLUMNS_SHORT = 3, COLUMNS_LONG = 6;

nixl_status stale() noexcept {
    return fail(Code::STALE, "the request was released");
}

nixl_status no_output() noexcept {
    return fail(Code::INVALID_ARGUMENT, "an output argument is NULL");
}

/// Cold: the text for a post that was not taken.
__attribute__((noinline)) nixl_status refuse_post(Code code) noexcept {
    switch (code) {
    case Code::BUSY:
        return fail(code, "the request is still in flight from its last post",
                    "wait for it, or use one request per transfer in flight");
    case Code::STALE:
        return fail(code, "the request was released, or one of its buffers was freed",
                    "make a new request");
    case Code::AGAIN:
        return fail(code, "the completion queue or the staging memory has no room",
                    "take events or wait for transfers, then post again");
    case Code::INVALID_ARGUMENT:
        return fail(code, "the two lists differ in their blocks, so all of one cannot go to the other",
                    "post by index");
    default: return fail(code, code_name(code));
    }
}

nixl_status publish(Result<Request*>&& made, nixl_request* out) noexcept {
    if (!made.ok())
        return fail(made.error());
    *out = Transfers::handle_of(*made.value());
    return NIXL_OK;
}

/// Options of an older, shorter form are completed with zeros.
Code read_options(Transfers& transfers, const nixl_post_options* given, PostOptions& out) noexcept {
    if (given == nullptr)
        return Code::OK;
    nixl_post_options options{};
    __builtin_memcpy(&options, given,
                     given->struct_size < sizeof options ? given->struct_size : sizeof options);
    out.done = options.done;
    out.user = options.user;
    out.stream = options.stream;
    out.notification = options.notification;
    out.notification_bytes = options.notification_bytes;
    out.deadline_ns = options.deadline_ns;
    out.path_policy = options.path_policy;
    out.wait = (options.flags & NIXL_POST_WAIT) != 0;
    if (options.opcode != 0 || options.deadline_ns < 0)
        return Code::INVALID_ARGUMENT;
    if (options.queue.generation != 0) {
        out.queue = transfers.find_queue(options.queue);
        if (out.queue == nullptr)
            return Code::STALE;
    }
    return Code::OK;
}

__attribute__((noinline)) nixl_status bad_options(Code code) noexcept {
    return fail(code, code == Code::STALE ? "the completion queue was closed"
                                          : "opcode and deadline_ns must not be other than known "
                                            "opcodes and times from now");
}

nixl_status after_post(Context& context, Request& request, uint32_t generation, Code posted,
                       const PostOptions& options) noexcept {
    if (posted != Code::OK)
        return refuse_post(posted);
    if (!options.wait)
        return NIXL_OK;
    return static_cast<nixl_status>(context.transfers().wait(request, generation, -1));
}

} // namespace

extern "C" {

nixl_status nixl_request_create_range(nixl_context context, nixl_buffer source,
                                      uint64_t source_offset, nixl_buffer target,
                                      uint64_t target_offset, uint64_t bytes, nixl_request* out) {
    const Call call(context);
    if (!call)
        return last_code();
    if (out == nullptr)
        return no_output();
    return publish(call->transfers().create_range(
                       {source, target, source_offset, target_offset, bytes}),
                   out);
}

nixl_status nixl_request_create(nixl_context context, nixl_buffer source, nixl_buffer target,
                                nixl_request* out) {
    const Call call(context);
    if (!call)
        return last_code();
    if (out == nullptr)
        return no_output();
    const Region* region = call->regions().find(source);
    if (region == nullptr)
        return fail(Code::STALE, "the source buffer was freed");
    return publish(call->transfers().create_range({source, target, 0, 0, region->bytes}), out);
}

nixl_status nixl_request_create_runs(nixl_context context, const nixl_buffer* sources,
                                     const nixl_buffer* targets, uint32_t pair_count,
                                     const nixl_run* runs, uint64_t run_count, uint32_t flags,
                                     nixl_request* out) {
    const Call call(context);
    if (!call)
        return last_code();
    if (out == nullptr || sources == nullptr || targets == nullptr ||
        (runs == nullptr && run_count > 0))
        return no_output();
    Transfers::RunsSpec spec;
    spec.sources = {sources, pair_count};
    spec.targets = {targets, pair_count};
    spec.runs = {runs, run_count};
    spec.borrowed = (flags & NIXL_RUNS_BORROWED) != 0;
    return publish(call->transfers().create_runs(std::move(spec)), out);
}

nixl_status nixl_request_create_rows(nixl_context context, nixl_buffer source, nixl_buffer target,
                                     const uint64_t* rows, uint64_t row_count, uint32_t columns,
                                     nixl_request* out) {
    const Call call(context);
    if (!call)
        return last_code();
    if (out == nullptr || (rows == nullptr && row_count > 0))
        return no_output();
    if (columns != COLUMNS_SHORT && columns != COLUMNS_LONG)
        return fail(Error(Code::INVALID_ARGUMENT,
                          "rows of " + std::to_string(columns) + " columns",
                          "3 columns: source offset, target offset, bytes; 6 columns add source "
                          "stride, target stride, count"));
    Transfers::RunsSpec spec;
    spec.owned.reserve(row_count);
    for (const uint64_t* row = rows; row != rows + row_count * columns; row += columns) {
        const bool strided = columns == COLUMNS_LONG;
        spec.owned.push_back({row[0], row[1], row[2],
                              strided ? static_cast<int64_t>(row[3]) : 0,
                              strided ? static_cast<int64_t>(row[4]) : 0, strided ? row[5] : 1, 0,
                              0});
    }
    spec.sources = {&source, 1};
    spec.targets = {&target, 1};
    spec.runs = spec.owned;
    return publish(call->transfers().create_runs(std::move(spec)), out);
}

nixl_status nixl_request_create_lists(nixl_context context, nixl_list source, nixl_list target,
                                      nixl_request* out) {
    const Call call(context);
    if (!call)
        return last_code();
    if (out == nullptr)
        return no_output();
    return publish(call->transfers().create_lists(source, target), out);
}

nixl_status nixl_request_post(nixl_context context, nixl_request request,
                              const nixl_post_options* given) {
    const Call call(context);
    if (!call)
        return last_code();
    Request* slot = call->transfers().find(request);
    if (slot == nullptr)
        return stale();
    PostOptions options;
    if (const Code code = read_options(call->transfers(), given, options); code != Code::OK)
        return bad_options(code);
    return after_post(*call, *slot, request.generation, call->transfers().post(*slot, options),
                      options);
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
        return stale();
    if (source_indices == nullptr && count > 0)
        return no_output();
    PostOptions options;
    if (const Code code = read_options(call->transfers(), given, options); code != Code::OK)
        return bad_options(code);
    uint64_t bad = 0;
    const uint32_t* targets = target_indices != nullptr ? target_indices : source_indices;
    const Code posted = call->transfers().post_indexed(*slot, {source_indices, count},
                                                       {targets, count}, options, &bad);
    if (posted == Code::UNSUPPORTED)
        return fail(posted, "the request was not made over two lists",
                    "use nixl_request_create_lists()");
    if (posted == Code::OUT_OF_RANGE || posted == Code::INVALID_ARGUMENT)
        return fail(Error(posted, "index " + std::to_string(bad) + ": source block " +
                                      std::to_string(source_indices[bad]) + " to target block " +
                                      std::to_string(targets[bad]) +
                                      (posted == Code::OUT_OF_RANGE
                                           ? " is not in the lists"
                                           : " have different lengths")));
    return after_post(*call, *slot, request.generation, posted, options);
}

nixl_status nixl_transfer_start(nixl_context context, nixl_buffer source, nixl_buffer target,
                                const nixl_post_options* given, nixl_request* out) {
    const Call call(context);
    if (!call)
        return last_code();
    if (out == nullptr)
        return no_output();
    PostOptions options;
    if (const Code code = read_options(call->transfers(), given, options); code != Code::OK)
        return bad_options(code);
    const Region* region = call->regions().find(source);
    if (region == nullptr)
        return fail(Code::STALE, "the source buffer was freed");
    auto made = call->transfers().create_range({source, target, 0, 0, region->bytes});
    if (!made.ok())
        return fail(made.error());
    Request& slot = *made.value();
    *out = Transfers::handle_of(slot);
    const Code posted = call->transfers().post(slot, options);
    if (posted != Code::OK) {
        (void)call->transfers().release(slot, out->generation);
        *out = {};
    }
    return after_post(*call, slot, out->generation, posted, options);
}

nixl_status nixl_request_poll(nixl_context context, nixl_request request) {
    const Call call(context);
    if (!call)
        return last_code();
    Request* slot = call->transfers().find(request);
    return slot != nullptr ? static_cast<nixl_status>(call->transfers().poll(*slot)) : stale();
}

uint64_t nixl_request_poll_many(nixl_context context, const nixl_request* requests, uint64_t count,
                                nixl_status* out) {
    const Call call(context);
    uint64_t terminal = 0;
    for (uint64_t i = 0; i < count; ++i) {
        Request* slot = call ? call->transfers().find(requests[i]) : nullptr;
        out[i] = !call            ? last_code()
                 : slot == nullptr ? stale()
                                   : static_cast<nixl_status>(call->transfers().poll(*slot));
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
        return stale();
    const Code code = call->transfers().wait(*slot, request.generation, timeout_ns);
    if (code == Code::BUSY)
        return fail(code, "waiting in a callback on the progress thread would never end",
                    "start the next transfer in the callback and wait elsewhere");
    return code == Code::STALE ? stale() : static_cast<nixl_status>(code);
}

nixl_status nixl_request_cancel(nixl_context context, nixl_request request) {
    const Call call(context);
    if (!call)
        return last_code();
    Request* slot = call->transfers().find(request);
    if (slot == nullptr)
        return stale();
    call->transfers().cancel(*slot);
    return NIXL_OK;
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
    return code == Code::STALE ? stale()
                               : fail(code, "the request is in flight and its runs are borrowed",
                                      "wait for it, or cancel it and wait");
}

} // extern "C"
