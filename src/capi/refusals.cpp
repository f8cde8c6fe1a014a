// SPDX-License-Identifier: Apache-2.0
#include "capi/refusals.h"

namespace nixl::core {

nixl_status refuse_stale() noexcept { return fail(Code::STALE, "the request was released"); }

nixl_status refuse_no_output() noexcept {
    return fail(Code::INVALID_ARGUMENT, "an argument that is needed is NULL");
}

nixl_status refuse_note(Code code) noexcept {
    if (code == Code::OUT_OF_RANGE)
        return fail(code, "a notification has 1 to 65536 bytes, and is not NULL");
    return fail(code,
                "the post carries a notification, and neither end belongs to a peer whose "
                "transport delivers them",
                "post without, or see nixl-info --backends for transports that can");
}

nixl_status refuse_stream() noexcept {
    return fail(Code::UNSUPPORTED,
                "the post joins a stream, and no GPU moves any of its bytes, so nothing would wait",
                "synchronize with the stream, then post without it");
}

nixl_status refuse_post(Code code) noexcept {
    switch (code) {
    case Code::BUSY:
        return fail(code, "the request is still in flight from its last post",
                    "wait for it, or use one request per transfer in flight");
    case Code::STALE:
        return fail(code, "the request was released, or one of its buffers was freed",
                    "make a new request");
    case Code::INVALID_ARGUMENT:
        return fail(code,
                    "the two lists differ in their blocks (or in their shape, with more than "
                    "1048576 blocks), so all of one cannot go to the other",
                    "post by index");
    case Code::UNSUPPORTED:
        return fail(code, "path_policy of the post is require_direct and its path is staged",
                    "allow staging, or see nixl_request_path() for what is missing");
    default:
        return fail(code, code_name(code));
    }
}

bool refuse_staging(Code code) noexcept {
    const auto why = Transfers::take_staging_refusal();
    if (!why || why->code != code)
        return false;
    (void)fail(*why);
    return true;
}

nixl_status refuse_full(const Transfers& transfers, const PostOptions& options) noexcept {
    if (options.done != nullptr && !options.wait && !transfers.has_progress())
        return fail(Code::AGAIN, "the thread that runs callbacks cannot be started",
                    "raise ulimit -u, or post without a callback and wait");
    // Staging memory that is in use was told by refuse_staging(), so a queue was full.
    if (options.queue != nullptr)
        return fail(Code::AGAIN, "the completion queue has no room for another event",
                    "take events from it, then post again");
    return fail(Code::AGAIN, "the staging memory of the path is in use by other transfers",
                "wait for some of them, then post again, or raise pool_size");
}

nixl_status refuse_options(Code code) noexcept {
    switch (code) {
    case Code::STALE:
        return fail(code, "the completion queue was closed");
    case Code::BUSY:
        return refuse_wait();
    default:
        return fail(code, "opcode, flags, path_policy and deadline_ns must be known values, and a "
                          "deadline a time from now");
    }
}

nixl_status refuse_wait() noexcept {
    return fail(Code::BUSY, "waiting in a callback on the progress thread would never end",
                "start the next transfer in the callback and wait elsewhere");
}

nixl_status refuse_index(Code code, uint64_t position, uint32_t source, uint32_t target) noexcept {
    return fail(Error(
        code,
        "index " + std::to_string(position) + ": source block " + std::to_string(source) +
            " to target block " + std::to_string(target) +
            (code == Code::OUT_OF_RANGE ? " is not in the lists" : " have different lengths")));
}

} // namespace nixl::core
