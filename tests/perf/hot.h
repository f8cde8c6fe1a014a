// SPDX-License-Identifier: Apache-2.0
// The shapes of the data path whose cost is counted and timed: one context, two buffers, one
// action.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <nixl/nixl_c.h>

namespace nixl_perf {

inline void check(nixl_status status, const char* what) {
    if (status == NIXL_OK)
        return;
    nixl_error error = NIXL_INIT(nixl_error);
    nixl_last_error(&error);
    std::fprintf(stderr, "%s: %s %s\n", what, nixl_status_name(status), error.message);
    std::exit(1);
}

/// A context with one backend for host copies, and two buffers of 64 MiB.
class Bench {
  public:
    static constexpr uint64_t BYTES = 64u << 20;
    static constexpr uint64_t RUNS = 16384, RUN_BYTES = 512, SPACING = 1024;

    explicit Bench(bool with_null) : source_memory_(BYTES, 1), target_memory_(BYTES, 2) {
        const nixl_setting setting{"null.enable", with_null ? "true" : "false"};
        check(nixl_context_open(&setting, 1, &context), "open");
        check(
            nixl_buffer_wrap(context, source_memory_.data(), BYTES, NIXL_KIND_HOST, -1, 0, &source),
            "wrap");
        check(
            nixl_buffer_wrap(context, target_memory_.data(), BYTES, NIXL_KIND_HOST, -1, 0, &target),
            "wrap");
        for (uint64_t i = 0; i < RUNS; ++i) // neighbours swapped, so that nothing can be merged
            listed.push_back({(i ^ 1) * SPACING, (i ^ 1) * SPACING, RUN_BYTES, 0, 0, 1, 0, 0});
        strided = {0, 0, RUN_BYTES, SPACING, SPACING, RUNS, 0, 0};
    }
    ~Bench() { check(nixl_context_close(context), "close"); }

    nixl_request one(uint64_t bytes) {
        nixl_request request{};
        check(nixl_request_create_range(context, source, 0, target, 0, bytes, &request), "create");
        return request;
    }
    nixl_request many(const nixl_run* runs, uint64_t count) {
        nixl_request request{};
        check(nixl_request_create_runs(context, &source, &target, 1, runs, count,
                                       NIXL_RUNS_BORROWED, &request),
              "create");
        return request;
    }

    /// Post and poll of a prepared request.
    void post_poll(nixl_request request) {
        check(nixl_request_post(context, request, nullptr), "post");
        nixl_status status = NIXL_IN_PROGRESS;
        while ((status = nixl_request_poll(context, request)) == NIXL_IN_PROGRESS) {}
        check(status, "poll");
    }
    /// Everything of a transfer that is made once: create, post, poll, release.
    void whole(uint64_t bytes) {
        const nixl_request request = one(bytes);
        post_poll(request);
        check(nixl_request_release(context, request), "release");
    }
    void whole(const nixl_run* runs, uint64_t count) {
        const nixl_request request = many(runs, count);
        post_poll(request);
        check(nixl_request_release(context, request), "release");
    }

    nixl_context context{};
    nixl_buffer source{}, target{};
    std::vector<nixl_run> listed;
    nixl_run strided{};

  private:
    std::vector<char> source_memory_, target_memory_;
};

} // namespace nixl_perf
