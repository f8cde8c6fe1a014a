// SPDX-License-Identifier: Apache-2.0
// Reads or writes one file for some seconds in one shape; one JSON object: bytes, seconds, CPU
// seconds.
//   perf-files FILE randread|randwrite|read|write BLOCK_BYTES DEPTH DIRECT(0|1) SECONDS
#include <chrono>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>

#include <sys/mman.h>
#include <sys/resource.h>

#include "hot.h"

namespace {

using Clock = std::chrono::steady_clock;
using nixl_perf::check;

constexpr uint64_t FILE_BYTES = 1ull << 30;
constexpr uint64_t PER_POST = 64u << 20;
constexpr uint64_t IN_FLIGHT = 2; // posts, so that the depth does not run dry between them

double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Shape {
    bool write, random, direct;
    uint64_t block, depth;
};

/// Each post moves 64 MiB: blocks at random places of the file, or the next part of it in order.
/// The memory is a block for each operation of the depth, used in turn: as fio has it, since what
/// the processor's caches hold of it is half of the cost of a cached read.
std::vector<nixl_run> make_runs(const Shape& shape, uint64_t part) {
    static std::mt19937_64 numbers(1);
    std::vector<nixl_run> runs;
    for (uint64_t block = 0; block < PER_POST / shape.block; ++block) {
        const uint64_t in_memory = block % shape.depth * shape.block;
        const uint64_t in_file = shape.random ? numbers() % (FILE_BYTES / shape.block) * shape.block
                                              : part * PER_POST + block * shape.block;
        runs.push_back({shape.write ? in_memory : in_file, shape.write ? in_file : in_memory,
                        shape.block, 0, 0, 1, 0, 0});
    }
    return runs;
}

/// Memory in huge pages, as NumPy asks for them, filled with what a disk cannot compress or take
/// for zeros.
class Memory {
  public:
    explicit Memory(uint64_t bytes)
        : words_(static_cast<uint64_t*>(
              std::aligned_alloc(ALIGNMENT, (bytes + ALIGNMENT - 1) & ~(ALIGNMENT - 1)))) {
        ::madvise(words_.get(), bytes, MADV_HUGEPAGE);
        std::mt19937_64 numbers(2);
        for (uint64_t i = 0; i < bytes / sizeof(uint64_t); ++i)
            words_.get()[i] = numbers();
    }
    void* get() { return words_.get(); }

  private:
    static constexpr size_t ALIGNMENT = 2u << 20;
    struct Free {
        // allow(naked-new): aligned_alloc() wants it.
        void operator()(uint64_t* words) const { std::free(words); }
    };
    std::unique_ptr<uint64_t, Free> words_;
};

/// One request per part of the file.
class Bench {
  public:
    Bench(const char* path, const char* depth, const Shape& shape)
        : room_(shape.depth * shape.block) {
        const nixl_setting setting{"posix.queue_depth", depth};
        check(nixl_context_open(&setting, 1, &context_), "open");
        check(nixl_buffer_open(context_, path, NIXL_KIND_FILE, 0, FILE_BYTES,
                               shape.direct ? NIXL_BUFFER_DIRECT : 0, &file_),
              "open file");
        check(nixl_buffer_wrap(context_, room_.get(), shape.depth * shape.block, NIXL_KIND_HOST, -1,
                               0, &memory_),
              "wrap");
        for (uint64_t part = 0; part < FILE_BYTES / PER_POST; ++part) {
            const auto runs = make_runs(shape, part);
            nixl_request request{};
            check(nixl_request_create_runs(context_, shape.write ? &memory_ : &file_,
                                           shape.write ? &file_ : &memory_, 1, runs.data(),
                                           runs.size(), 0, &request),
                  "create");
            requests_.push_back(request);
        }
    }
    ~Bench() { check(nixl_context_close(context_), "close"); }

    /// Returns the bytes moved; the last posts have ended when it does.
    uint64_t run(double seconds) {
        uint64_t posted = 0, ended = 0;
        const auto start = Clock::now();
        while (std::chrono::duration<double>(Clock::now() - start).count() < seconds) {
            check(nixl_request_post(context_, request(posted++), nullptr), "post");
            if (posted - ended == IN_FLIGHT)
                check(nixl_request_wait(context_, request(ended++), -1), "wait");
        }
        while (ended < posted)
            check(nixl_request_wait(context_, request(ended++), -1), "wait");
        return posted * PER_POST;
    }

  private:
    nixl_request request(uint64_t number) { return requests_[number % requests_.size()]; }

    Memory room_;
    nixl_context context_{};
    nixl_buffer file_{}, memory_{};
    std::vector<nixl_request> requests_;
};

} // namespace

int main(int argc, char** argv) {
    if (argc != 7) {
        std::fprintf(stderr, "usage: perf-files FILE SHAPE BLOCK_BYTES DEPTH DIRECT SECONDS\n");
        return 2;
    }
    const std::string name = argv[2];
    const Shape shape{name.find("write") != std::string::npos, name.rfind("rand", 0) == 0,
                      std::atoi(argv[5]) != 0, std::strtoull(argv[3], nullptr, 10),
                      std::strtoull(argv[4], nullptr, 10)};
    Bench bench(argv[1], argv[4], shape);
    const double cpu_before = cpu_seconds();
    const auto start = Clock::now();
    const uint64_t bytes = bench.run(std::atof(argv[6]));
    const double took = std::chrono::duration<double>(Clock::now() - start).count();
    std::printf("{\"bytes\": %llu, \"seconds\": %.6f, \"cpu_seconds\": %.6f}\n",
                static_cast<unsigned long long>(bytes), took, cpu_seconds() - cpu_before);
    return 0;
}
