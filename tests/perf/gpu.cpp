// SPDX-License-Identifier: Apache-2.0
// Copies to, from and between GPUs beside the driver's own: an asynchronous copy and a loop over
// the query of its event, on page-locked buffers and those of GPUs; for pageable memory also beside
// threads that fill page-locked chunks. For each way and size one JSON line: median microseconds of
// each, over alternating rounds. What was measured is made once more and its bytes are compared.
#include "gpu_content.h"
#include "gpu_limits.h"

namespace {

using namespace nixl_perf;

constexpr uint64_t LARGEST = 1024 * MIB;
constexpr uint64_t SIZES[] = {4 * KIB, 64 * KIB, 1 * MIB, 4 * MIB, 64 * MIB, LARGEST};

struct Memory {
    nixl_buffer ours{};
    Address raw = 0;
};

/// Buffers of the library, and as many of the driver's own.
class CopyBench {
  public:
    explicit CopyBench(const CudaDriver& driver) : driver_(driver), content_(driver, LARGEST) {
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
    /// Of each size, beside one copy of the driver's.
    void measure(const char* work, const Memory& from, const Memory& into, const DriverCopy& raw) {
        content_.put(place(from), LARGEST);
        for (const uint64_t bytes : SIZES) {
            const nixl_request request = create(from, into, bytes);
            time_in_turn(work, bytes, {request}, [&] {
                raw.start(into.raw, from.raw, bytes);
                raw.finish();
            });
            verify(work, bytes, into, {request});
        }
    }
    void measure_both_ways(const Memory& host, const Memory& gpu, const DriverCopy& raw,
                           const DriverCopy& back) {
        const uint64_t half = LARGEST / 2; // the ways have bytes of their own at both ends
        nixl_request in{}, out{};
        check(nixl_request_create_range(context_, host.ours, 0, gpu.ours, 0, half, &in), "create");
        check(nixl_request_create_range(context_, gpu.ours, half, host.ours, half, half, &out),
              "create");
        time_in_turn("both ways at once, host and GPU", LARGEST, {in, out}, [&] {
            raw.start(gpu.raw, host.raw, half);
            back.start(host.raw + half, gpu.raw + half, half);
            raw.finish();
            back.finish();
        });
        const Place at_host = place(host), at_gpu = place(gpu);
        content_.put(at_host, half);
        verify("host to GPU beside GPU to host", half, gpu, {in});
        content_.put({at_gpu.address + half, true}, half);
        content_.clear({at_host.address + half, false}, half);
        run({out});
        content_.expect({at_host.address + half, false}, half, "GPU to host beside host to GPU");
        release({out});
    }
    void measure_beside_stages(std::byte* from, const Memory& into, const StagedCopy& staged) {
        nixl_buffer source{};
        check(nixl_buffer_wrap(context_, from, LARGEST, NIXL_KIND_HOST, -1, 0, &source), "wrap");
        const char* const work = "pageable host to GPU beside 8 threads";
        const nixl_request request = create({source, 0}, into, LARGEST);
        content_.put(place({source, 0}), LARGEST);
        time_in_turn(work, LARGEST, {request}, [&] { staged.run(into.raw, from, LARGEST); });
        verify(work, LARGEST, into, {request});
    }

  private:
    [[nodiscard]] nixl_request create(const Memory& from, const Memory& into,
                                      uint64_t bytes) const {
        nixl_request request{};
        check(nixl_request_create_range(context_, from.ours, 0, into.ours, 0, bytes, &request),
              "create");
        return request;
    }
    [[nodiscard]] Place place(const Memory& memory) const {
        return place_of(context_, memory.ours);
    }
    void run(const std::vector<nixl_request>& requests) const {
        for (const nixl_request request : requests)
            check(nixl_request_post(context_, request, nullptr), "post");
        for (const nixl_request request : requests)
            check(nixl_request_wait(context_, request, -1), "wait");
    }
    void release(const std::vector<nixl_request>& requests) const {
        for (const nixl_request request : requests)
            check(nixl_request_release(context_, request), "release");
    }
    /// Makes them once more, into cleared memory. Releases them.
    void verify(const char* work, uint64_t bytes, const Memory& into,
                const std::vector<nixl_request>& requests) {
        content_.clear(place(into), bytes);
        run(requests);
        content_.expect(place(into), bytes, work);
        release(requests);
    }
    /// Posts and polls the requests, posts and waits for them, and does the raw work, in turn.
    template <typename Raw> void time_in_turn(const char* work, uint64_t bytes,
                                              const std::vector<nixl_request>& requests,
                                              Raw raw) const {
        const auto post = [&] {
            for (const nixl_request request : requests)
                check(nixl_request_post(context_, request, nullptr), "post");
        };
        std::vector<double> ours, waited, theirs;
        const int rounds = bytes <= MIB ? 201 : 21;
        for (int round = -3; round < rounds; ++round) {
            const double polled_us = time_us([&] {
                post();
                for (const nixl_request request : requests)
                    while (nixl_request_poll(context_, request) == NIXL_IN_PROGRESS) {}
            });
            const double waited_us = time_us([&] { run(requests); });
            const double raw_us = time_us(raw);
            if (round < 0)
                continue; // the first ones wake the link
            ours.push_back(polled_us);
            waited.push_back(waited_us);
            theirs.push_back(raw_us);
        }
        std::printf("{\"work\": \"%s\", \"bytes\": %llu, \"nixl_us\": %.3f, "
                    "\"nixl_wait_us\": %.3f, \"raw_us\": %.3f}\n",
                    work, static_cast<unsigned long long>(bytes), median(ours), median(waited),
                    median(theirs));
        std::fflush(stdout);
    }

    const CudaDriver& driver_;
    Content content_;
    nixl_context context_{};
};

} // namespace

int main() {
    const CudaDriver& driver = driver_or_exit();
    const Context context = context_of(driver, 0);
    const CudaScope scope(driver, context);
    print_machine(driver);
    CopyBench bench(driver);
    const DriverCopy raw(driver), back(driver);
    const Memory host = bench.make(NIXL_KIND_PINNED, -1), gpu = bench.make(NIXL_KIND_DEVICE, 0);
    bench.measure("host to GPU", host, gpu, raw);
    bench.measure("GPU to host", gpu, host, raw);
    bench.measure_both_ways(host, gpu, raw, back);
    const Memory pageable = bench.make(NIXL_KIND_HOST, -1);
    bench.measure("pageable host to GPU", pageable, gpu, raw);
    bench.measure("GPU to pageable host", gpu, pageable, raw);
    std::vector<std::byte> foreign(LARGEST, std::byte{1});
    bench.measure_beside_stages(foreign.data(), gpu, StagedCopy(driver, context));
    bench.measure("within a GPU", gpu, bench.make(NIXL_KIND_DEVICE, 0), raw);
    if (driver.devices < 2)
        return 0;
    const Memory other = bench.make(NIXL_KIND_DEVICE, 1);
    (void)driver.call.peer_enable(context_of(driver, 1), 0);
    bench.measure("GPU to GPU", gpu, other, raw);
    return 0;
}
