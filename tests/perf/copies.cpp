// SPDX-License-Identifier: Apache-2.0
// Host copies beside plain memcpy by one thread and by two, on the same buffers, in turn. For each
// size one JSON line: median nanoseconds of each, over PAIRS alternating rounds of copies back to
// back. "apart" are single copies, each after a pause in which other threads have gone to sleep.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>

#include <sys/mman.h>

#include "hot.h"

namespace {

using Clock = std::chrono::steady_clock;
using nixl_perf::check;

constexpr int PAIRS = 21;
constexpr uint64_t KIB = 1024, MIB = 1024 * KIB, LARGEST = 1024 * MIB;
constexpr uint64_t SIZES[] = {64,        256,       1 * KIB, 4 * KIB, 16 * KIB, 64 * KIB,
                              128 * KIB, 256 * KIB, 1 * MIB, 8 * MIB, 64 * MIB, LARGEST};
constexpr uint64_t ROUND_BYTES = 64 * MIB; // of one measurement, as far as 20,000 copies go
constexpr std::chrono::microseconds PAUSE{200};

/// Committed before it is timed.
char* memory(uint64_t bytes, char fill) {
    void* address =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED)
        std::exit(1);
    std::memset(address, fill, bytes);
    return static_cast<char*>(address);
}

/// A second thread that copies the upper half. Between rounds it spins, so that waking it costs
/// nothing but a CPU: the best that two threads can do. Or it is parked and woken: the best that a
/// program can do that leaves the CPU to others.
class SecondThread {
  public:
    explicit SecondThread(bool spins) : spins_(spins), thread_([this] { serve(); }) {}
    ~SecondThread() {
        round_.store(UINT64_MAX);
        round_.notify_one();
        thread_.join();
    }
    void copy(char* target, const char* source, uint64_t bytes) {
        const uint64_t half = bytes / 2;
        target_ = target + half;
        source_ = source + half;
        bytes_ = bytes - half;
        const uint64_t round = round_.load(std::memory_order_relaxed) + 1;
        round_.store(round, std::memory_order_release);
        if (!spins_)
            round_.notify_one();
        std::memcpy(target, source, half);
        while (done_.load(std::memory_order_acquire) != round) {}
    }

  private:
    void serve() {
        for (uint64_t seen = 0;;) {
            const uint64_t round = round_.load(std::memory_order_acquire);
            if (round == UINT64_MAX)
                return;
            if (round == seen) {
                if (!spins_)
                    round_.wait(seen);
                continue;
            }
            std::memcpy(target_, source_, bytes_);
            seen = round;
            done_.store(round, std::memory_order_release);
        }
    }
    const bool spins_;
    std::atomic<uint64_t> round_{0}, done_{0};
    char* target_ = nullptr;
    const char* source_ = nullptr;
    uint64_t bytes_ = 0;
    std::thread thread_;
};

template <typename Action> double time_ns(int repeats, Action action) {
    const auto start = Clock::now();
    for (int i = 0; i < repeats; ++i)
        action();
    return std::chrono::duration<double, std::nano>(Clock::now() - start).count() / repeats;
}

/// After a copy by this thread, so that each finds the same in its caches. Spins meanwhile, so that
/// the thread stays as fast as it was.
template <typename Copy, typename Action> double time_apart_ns(Copy copy, Action action) {
    copy();
    for (const auto end = Clock::now() + PAUSE; Clock::now() < end;) {}
    return time_ns(1, action);
}

double median(std::vector<double> values) {
    std::nth_element(values.begin(), values.begin() + PAIRS / 2, values.end());
    return values[PAIRS / 2];
}

} // namespace

int main(int argc, char** argv) {
    const uint64_t largest = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : LARGEST;
    char* source = memory(largest, 1);
    char* target = memory(largest, 2);
    nixl_context context{};
    check(nixl_context_open(nullptr, 0, &context), "open");
    nixl_buffer from{}, into{};
    check(nixl_buffer_wrap(context, source, largest, NIXL_KIND_HOST, -1, 0, &from), "wrap");
    check(nixl_buffer_wrap(context, target, largest, NIXL_KIND_HOST, -1, 0, &into), "wrap");
    nixl_post_options wait = NIXL_INIT(nixl_post_options);
    wait.flags = NIXL_POST_WAIT;
    for (const uint64_t bytes : SIZES) {
        if (bytes > largest)
            break;
        nixl_request request{};
        check(nixl_request_create_range(context, from, 0, into, 0, bytes, &request), "create");
        const int repeats = static_cast<int>(std::clamp<uint64_t>(ROUND_BYTES / bytes, 1, 20'000));
        const auto post = [&] { check(nixl_request_post(context, request, &wait), "post"); };
        const auto copy = [&] {
            std::memcpy(target, source, bytes);
            __asm__ volatile("" ::: "memory");
        };
        std::vector<double> ours, one, two, two_woken, ours_apart, one_apart;
        for (int pair = 0; pair < PAIRS; ++pair) {
            // Which is first finds the caches as the threads of the round before left them.
            const bool ours_first = pair % 2 == 0;
            for (const bool is_ours : {ours_first, !ours_first}) {
                if (is_ours)
                    ours_apart.push_back(time_apart_ns(copy, post));
                else
                    one_apart.push_back(time_apart_ns(copy, copy));
            }
            ours.push_back(time_ns(repeats, post));
            one.push_back(time_ns(repeats, copy));
            for (const bool spins : {true, false}) {
                // Only while it is measured: on two CPUs a spinning thread disturbs the others.
                const auto second = std::make_unique<SecondThread>(spins);
                (spins ? two : two_woken).push_back(time_ns(repeats, [&] {
                    second->copy(target, source, bytes);
                }));
            }
        }
        check(nixl_request_release(context, request), "release");
        std::printf("{\"bytes\": %llu, \"nixl_ns\": %.1f, \"memcpy_ns\": %.1f, "
                    "\"memcpy_2_spinning_ns\": %.1f, \"memcpy_2_woken_ns\": %.1f, "
                    "\"nixl_apart_ns\": %.1f, \"memcpy_apart_ns\": %.1f}\n",
                    static_cast<unsigned long long>(bytes), median(ours), median(one), median(two),
                    median(two_woken), median(ours_apart), median(one_apart));
        std::fflush(stdout);
    }
    check(nixl_context_close(context), "close");
    return 0;
}
