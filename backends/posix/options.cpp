// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <string>

#include "base/text.h"

namespace nixl::core::posix {
namespace {

Result<void> read_number(const sdk::Host& host, const char* key, uint64_t least, uint64_t most,
                         uint64_t* value) {
    const std::string text = host.text(key);
    if (text.empty())
        return {};
    auto parsed = parse_size(text);
    if (!parsed || parsed.value() < least || parsed.value() > most)
        return Error(Code::INVALID_ARGUMENT,
                     std::string(key) + "=" + text + ": expected a number from " +
                         std::to_string(least) + " to " + std::to_string(most));
    *value = parsed.value();
    return {};
}

Result<void> read_engine(const sdk::Host& host, EngineChoice* engine) {
    const std::string text = host.text("posix.engine");
    if (text.empty() || text == "auto")
        *engine = EngineChoice::AUTO;
    else if (text == "io_uring")
        *engine = EngineChoice::IO_URING;
    else if (text == "threads")
        *engine = EngineChoice::THREADS;
    else
        return Error(Code::INVALID_ARGUMENT,
                     "posix.engine=" + text + ": expected auto, io_uring or threads");
    return {};
}

} // namespace

Result<Options> Options::read(const sdk::Host& host) {
    Options options;
    uint64_t depth = options.queue_depth_ops, threads = options.threads;
    NIXL_RETURN_IF_ERROR(read_engine(host, &options.engine));
    NIXL_RETURN_IF_ERROR(read_number(host, "posix.queue_depth", 1, MAX_QUEUE_DEPTH_OPS, &depth));
    NIXL_RETURN_IF_ERROR(read_number(host, "posix.threads", MIN_THREADS, MAX_THREADS, &threads));
    NIXL_RETURN_IF_ERROR(
        read_number(host, "posix.merge_bytes", 0, MAX_ELEMENT_BYTES, &options.merge_bytes));
    NIXL_RETURN_IF_ERROR(
        read_number(host, "posix.pinned_bytes", 0, UINT64_MAX, &options.pinned_bytes));
    options.queue_depth_ops = static_cast<uint32_t>(depth);
    options.threads = static_cast<uint32_t>(threads);
    return options;
}

} // namespace nixl::core::posix
