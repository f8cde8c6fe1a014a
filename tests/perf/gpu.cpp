// SPDX-License-Identifier: Apache-2.0
// Copies to, from and between GPUs beside the driver's own: an asynchronous copy and a loop over
// the query of its event, on page-locked buffers and those of GPUs. For each way and size one JSON
// line: median microseconds of each, over alternating rounds.
#include <cstring>

#include "gpu.h"

namespace {

using namespace nixl_perf;

constexpr uint64_t LARGEST = 1024 * MIB;
constexpr uint64_t SIZES[] = {4 * KIB, 64 * KIB, 1 * MIB, 4 * MIB, 64 * MIB, LARGEST};

/// The driver's own way from one address to another, driven from one GPU.
class Raw {
  public:
    Raw(const CudaDriver& driver, Context context) : driver_(driver), context_(context) {
        const CudaScope scope(driver_, context_);
        check(driver_.call.stream_create(&stream_, STREAM_NON_BLOCKING, 0), "stream");
        check(driver_.call.event_create(&event_, EVENT_DISABLE_TIMING), "event");
    }
    void start(Address target, Address source, uint64_t bytes) const {
        check(driver_.call.copy(target, source, bytes, stream_), "copy");
        check(driver_.call.event_record(event_, stream_), "record");
    }
    void finish() const {
        CuResult state = CuResult::NOT_READY;
        while (state == CuResult::NOT_READY)
            state = driver_.call.event_query(event_);
        check(state, "raw copy");
    }

  private:
    const CudaDriver& driver_;
    Context context_;
    Stream stream_ = nullptr;
    Event event_ = nullptr;
};

struct Memory {
    nixl_buffer ours{};
    Address raw = 0;
};

/// Buffers of the library, and as many of the driver's own.
class CopyBench {
  public:
    explicit CopyBench(const CudaDriver& driver) : driver_(driver) {
        check(nixl_context_open(nullptr, 0, &context_), "open");
    }
    [[nodiscard]] Memory make(uint32_t kind, int device) const {
        Memory memory;
        check(nixl_buffer_allocate(context_, LARGEST, kind, device, 0, &memory.ours), "allocate");
        Context context = nullptr;
        check(driver_.call.context_retain(&context, std::max(device, 0)), "context");
        const CudaScope scope(driver_, context);
        void* host = nullptr;
        if (kind == NIXL_KIND_DEVICE) {
            check(driver_.call.memory_alloc(&memory.raw, LARGEST), "memory");
        } else {
            check(driver_.call.host_alloc(&host, LARGEST, HOST_PORTABLE), "memory");
            std::memset(host, 1, LARGEST);
            memory.raw = reinterpret_cast<uintptr_t>(host);
        }
        return memory;
    }
    void measure(const char* work, const Memory& from, const Memory& into, const Raw& raw) const {
        for (const uint64_t bytes : SIZES) {
            nixl_request request{};
            check(nixl_request_create_range(context_, from.ours, 0, into.ours, 0, bytes, &request),
                  "create");
            std::vector<double> ours, waited, theirs;
            const int rounds = bytes <= MIB ? 201 : 21;
            for (int round = -3; round < rounds; ++round) {
                const double polled_us = time_us([&] {
                    check(nixl_request_post(context_, request, nullptr), "post");
                    while (nixl_request_poll(context_, request) == NIXL_IN_PROGRESS) {}
                });
                const double waited_us = time_us([&] {
                    check(nixl_request_post(context_, request, nullptr), "post");
                    check(nixl_request_wait(context_, request, -1), "wait");
                });
                const double raw_us = time_us([&] {
                    raw.start(into.raw, from.raw, bytes);
                    raw.finish();
                });
                if (round < 0)
                    continue; // the first ones wake the link
                ours.push_back(polled_us);
                waited.push_back(waited_us);
                theirs.push_back(raw_us);
            }
            check(nixl_request_release(context_, request), "release");
            std::printf("{\"work\": \"%s\", \"bytes\": %llu, \"nixl_us\": %.3f, "
                        "\"nixl_wait_us\": %.3f, \"raw_us\": %.3f}\n",
                        work, static_cast<unsigned long long>(bytes), median(ours), median(waited),
                        median(theirs));
            std::fflush(stdout);
        }
    }

  private:
    const CudaDriver& driver_;
    nixl_context context_{};
};

} // namespace

int main() {
    const CudaDriver& driver = driver_or_exit();
    const Context context = context_of(driver, 0);
    const CudaScope scope(driver, context);
    print_machine(driver);
    const CopyBench bench(driver);
    const Raw raw(driver, context);
    const Memory host = bench.make(NIXL_KIND_PINNED, -1), gpu = bench.make(NIXL_KIND_DEVICE, 0);
    bench.measure("host to GPU", host, gpu, raw);
    bench.measure("GPU to host", gpu, host, raw);
    const Memory pageable = bench.make(NIXL_KIND_HOST, -1);
    bench.measure("pageable host to GPU", pageable, gpu, raw);
    bench.measure("GPU to pageable host", gpu, pageable, raw);
    bench.measure("within a GPU", gpu, bench.make(NIXL_KIND_DEVICE, 0), raw);
    if (driver.devices < 2)
        return 0;
    const Memory other = bench.make(NIXL_KIND_DEVICE, 1);
    (void)driver.call.peer_enable(context_of(driver, 1), 0);
    bench.measure("GPU to GPU", gpu, other, raw);
    return 0;
}
