// SPDX-License-Identifier: Apache-2.0
// Reads or writes one file for some seconds in one shape; one JSON object: bytes, seconds, CPU
// seconds.
//   perf-files FILE randread|randwrite|read|write BLOCK_BYTES DEPTH DIRECT(0|1) SECONDS
#include <chrono>
#include <cstring>
#include <random>
#include <string>

#include <sys/resource.h>

#include "hot.h"

namespace {

using Clock = std::chrono::steady_clock;
using nixl_perf::check;

constexpr uint64_t FILE_BYTES = 1ull << 30;
constexpr uint64_t PER_POST = 64u << 20;

double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// Each post moves 64 MiB: blocks at random places of the file, or the next part of it in order.
std::vector<nixl_run> make_runs(bool random, bool write, uint64_t block, uint64_t part) {
    static std::mt19937_64 numbers(1);
    std::vector<nixl_run> runs;
    for (uint64_t at = 0; at < PER_POST; at += block) {
        const uint64_t in_file =
            random ? numbers() % (FILE_BYTES / block) * block : part * PER_POST + at;
        runs.push_back({write ? at : in_file, write ? in_file : at, block, 0, 0, 1, 0, 0});
    }
    return runs;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 7) {
        std::fprintf(stderr, "usage: perf-files FILE SHAPE BLOCK_BYTES DEPTH DIRECT SECONDS\n");
        return 2;
    }
    const std::string shape = argv[2];
    const bool write = shape.find("write") != std::string::npos;
    const bool random = shape.rfind("rand", 0) == 0;
    const uint64_t block = std::strtoull(argv[3], nullptr, 10);
    const double seconds = std::atof(argv[6]);
    const nixl_setting setting{"posix.queue_depth", argv[4]};
    nixl_context context{};
    check(nixl_context_open(&setting, 1, &context), "open");
    nixl_buffer file{}, memory{};
    check(nixl_buffer_open(context, argv[1], NIXL_KIND_FILE, 0, FILE_BYTES,
                           std::atoi(argv[5]) != 0 ? NIXL_BUFFER_DIRECT : 0, &file),
          "open file");
    check(nixl_buffer_allocate(context, PER_POST, NIXL_KIND_HOST, -1, 0, &memory), "allocate");
    std::vector<nixl_request> requests;
    for (uint64_t part = 0; part < FILE_BYTES / PER_POST; ++part) {
        const auto runs = make_runs(random, write, block, part);
        nixl_request request{};
        check(nixl_request_create_runs(context, write ? &memory : &file, write ? &file : &memory, 1,
                                       runs.data(), runs.size(), 0, &request),
              "create");
        requests.push_back(request);
    }
    nixl_post_options wait = NIXL_INIT(nixl_post_options);
    wait.flags = NIXL_POST_WAIT;
    uint64_t bytes = 0;
    const double cpu_before = cpu_seconds();
    const auto start = Clock::now();
    double took = 0;
    for (size_t i = 0; took < seconds; i = (i + 1) % requests.size()) {
        check(nixl_request_post(context, requests[i], &wait), "post");
        bytes += PER_POST;
        took = std::chrono::duration<double>(Clock::now() - start).count();
    }
    std::printf("{\"bytes\": %llu, \"seconds\": %.6f, \"cpu_seconds\": %.6f}\n",
                static_cast<unsigned long long>(bytes), took, cpu_seconds() - cpu_before);
    for (const nixl_request request : requests)
        check(nixl_request_release(context, request), "release");
    check(nixl_context_close(context), "close");
    return 0;
}
