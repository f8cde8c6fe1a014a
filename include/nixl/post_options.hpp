// SPDX-License-Identifier: Apache-2.0
// What a caller may choose each time a transfer is started.
#pragma once

#include <chrono>

#include <nixl/queue.hpp>

namespace nixl {

enum class PathPolicy : std::uint32_t {
    DEFAULT = NIXL_PATH_DEFAULT, ///< as the setting path_policy says
    ALLOW = NIXL_PATH_ALLOW,
    WARN = NIXL_PATH_WARN,
    REQUIRE_DIRECT = NIXL_PATH_REQUIRE_DIRECT ///< an error instead of a slower path
};

/// Default: none of them.
struct PostOptions {
    std::chrono::nanoseconds deadline{0}; ///< from the post; 0: none
    PathPolicy path_policy = PathPolicy::DEFAULT;
    void* stream = nullptr;                 ///< CUstream to join
    const CompletionQueue* queue = nullptr; ///< where the completion event goes
    void* user = nullptr;                   ///< comes back in that event; not with a callback
};

namespace detail {

inline nixl_post_options c_options(const PostOptions& options) noexcept {
    nixl_post_options result = NIXL_INIT(nixl_post_options);
    result.deadline_ns = options.deadline.count();
    result.path_policy = static_cast<std::uint32_t>(options.path_policy);
    result.stream = options.stream;
    result.queue = options.queue != nullptr ? options.queue->handle() : nixl_queue{};
    result.user = options.user;
    return result;
}

} // namespace detail
} // namespace nixl
