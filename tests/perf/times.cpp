// SPDX-License-Identifier: Apache-2.0
// Times of the data path on the backend that moves nothing: nanoseconds, best of 50. One JSON
// object. With "loop SHAPE COUNT": repeats one shape, for tools that count instructions in
// measured_*().
#include <algorithm>
#include <chrono>
#include <cstring>

#include "hot.h"

namespace {

using nixl_perf::Bench;
using Clock = std::chrono::steady_clock;

constexpr int BEST_OF = 50;

template <typename Action> double best_ns(int repeats, Action action) {
    double best = 1e18;
    for (int round = 0; round < BEST_OF; ++round) {
        const auto start = Clock::now();
        for (int i = 0; i < repeats; ++i)
            action();
        const std::chrono::duration<double, std::nano> took = Clock::now() - start;
        best = std::min(best, took.count() / repeats);
    }
    return best;
}

} // namespace

// Not inlined and with C names, so that an instruction counter can be switched on by name.
extern "C" {
__attribute__((noinline)) void measured_post_poll(Bench* bench, nixl_request request) {
    bench->post_poll(request);
}
__attribute__((noinline)) void measured_whole(Bench* bench) { bench->whole(64); }
__attribute__((noinline)) void measured_strided(Bench* bench) { bench->whole(&bench->strided, 1); }
__attribute__((noinline)) void measured_listed(Bench* bench) {
    bench->whole(bench->listed.data(), bench->listed.size());
}
}

namespace {

int loop(Bench& bench, const char* shape, int count) {
    const nixl_request request = bench.one(64);
    for (int i = 0; i < count; ++i) {
        if (std::strcmp(shape, "post_poll") == 0)
            measured_post_poll(&bench, request);
        else if (std::strcmp(shape, "whole") == 0)
            measured_whole(&bench);
        else if (std::strcmp(shape, "strided") == 0)
            measured_strided(&bench);
        else if (std::strcmp(shape, "listed") == 0)
            measured_listed(&bench);
        else
            return 2;
    }
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    Bench bench(true);
    if (argc == 4 && std::strcmp(argv[1], "loop") == 0)
        return loop(bench, argv[2], std::atoi(argv[3]));
    const nixl_request request = bench.one(64);
    const double post_poll = best_ns(1000, [&] { measured_post_poll(&bench, request); });
    const double whole = best_ns(1000, [&] { measured_whole(&bench); });
    const double strided = best_ns(10, [&] { measured_strided(&bench); }) - whole;
    const double listed = best_ns(10, [&] { measured_listed(&bench); }) - whole;
    std::printf("{\"post_poll_ns\": %.1f, \"whole_ns\": %.1f, \"strided_element_ns\": %.2f, "
                "\"listed_run_ns\": %.2f}\n",
                post_poll, whole, strided / Bench::RUNS, listed / Bench::RUNS);
    return 0;
}
