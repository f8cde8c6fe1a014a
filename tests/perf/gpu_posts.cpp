// SPDX-License-Identifier: Apache-2.0
// What the library itself does for a transfer of a prepared request on a (simulated) GPU: heap
// allocations, counted here, and with "loop COUNT" instructions in measured_*(), for a tool that
// counts those. What the driver does is not counted: it is another library.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>

#include <link.h>

#include "hot.h"

namespace {

/// Where the driver's code lies, for telling its allocations.
struct Code {
    uintptr_t begin = 0, end = 0;
    [[nodiscard]] bool has(const void* address) const {
        const auto number = reinterpret_cast<uintptr_t>(address);
        return number >= begin && number < end;
    }
} driver_code;

std::atomic<uint64_t> allocations{0};

int find_driver(dl_phdr_info* info, size_t, void*) {
    const char* const slash = std::strrchr(info->dlpi_name, '/');
    const char* const name = slash != nullptr ? slash + 1 : info->dlpi_name;
    if (std::strncmp(name, "libcuda.so", 10) != 0 && std::strcmp(name, "libnixl-simcuda.so") != 0)
        return 0;
    for (int i = 0; i < info->dlpi_phnum; ++i)
        if (const auto& part = info->dlpi_phdr[i]; part.p_type == PT_LOAD)
            driver_code = {driver_code.begin != 0 ? driver_code.begin : info->dlpi_addr,
                           info->dlpi_addr + part.p_vaddr + part.p_memsz};
    return 1;
}

} // namespace

void* operator new(size_t bytes) {
    if (!driver_code.has(__builtin_return_address(0)))
        ++allocations;
    // allow(naked-new): this is the counting operator new.
    if (void* memory = std::malloc(bytes))
        return memory;
    throw std::bad_alloc();
}
// allow(naked-new): and its counterparts.
void operator delete(void* memory) noexcept { std::free(memory); }
// allow(naked-new): as above.
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace nixl_perf {
namespace {

/// Bytes from a GPU to page-locked memory, where their arrival can be seen without the library.
class GpuBench {
  public:
    GpuBench() {
        check(nixl_context_open(nullptr, 0, &context_), "open");
        check(nixl_buffer_allocate(context_, BYTES, NIXL_KIND_DEVICE, 0, 0, &source_), "GPU");
        check(nixl_buffer_allocate(context_, BYTES, NIXL_KIND_PINNED, -1, 0, &target_), "host");
        nixl_buffer_description description = NIXL_INIT(nixl_buffer_description);
        check(nixl_buffer_describe(context_, target_, &description), "describe");
        last_ = reinterpret_cast<volatile char*>(description.address) + BYTES - 1;
        check(nixl_request_create(context_, source_, target_, &request_), "create");
    }
    void post() { check(nixl_request_post(context_, request_, nullptr), "post"); }
    [[nodiscard]] bool is_done() {
        const nixl_status status = nixl_request_poll(context_, request_);
        if (status != NIXL_IN_PROGRESS)
            check(status, "poll");
        return status == NIXL_OK;
    }
    /// Before a post, and until its bytes have come.
    void expect_bytes() { *last_ = 1; }
    void await_bytes() const {
        while (*last_ != 0) // the GPU's memory is all zeros
            std::this_thread::yield();
        for (int i = 0; i < 100; ++i) // the event that follows them
            std::this_thread::yield();
    }

  private:
    static constexpr uint64_t BYTES = 4096;

    nixl_context context_{};
    nixl_buffer source_{}, target_{};
    nixl_request request_{};
    volatile char* last_ = nullptr;
};

} // namespace
} // namespace nixl_perf

// Not inlined and with C names, so that an instruction counter can be switched on by name.
extern "C" {
__attribute__((noinline)) void measured_gpu_post(nixl_perf::GpuBench* bench) { bench->post(); }
__attribute__((noinline)) bool measured_gpu_poll(nixl_perf::GpuBench* bench) {
    return bench->is_done();
}
}

namespace {

/// Returns how often it looked.
int transfer(nixl_perf::GpuBench& bench) {
    bench.expect_bytes();
    measured_gpu_post(&bench);
    bench.await_bytes();
    int polls = 1;
    while (!measured_gpu_poll(&bench))
        ++polls;
    return polls;
}

} // namespace

int main(int argc, char** argv) {
    uint32_t gpus = 0;
    if (nixl_device_count(&gpus) != NIXL_OK || gpus == 0) {
        std::fprintf(stderr, "no GPU, and no simulated one (NIXL_SIM_GPUS=1)\n");
        return 77;
    }
    nixl_perf::GpuBench bench;
    constexpr int WARM = 50, ROUNDS = 1000;
    int polls = 0;
    for (int i = 0; i < WARM; ++i)
        polls += transfer(bench);
    const int rounds = argc == 3 && std::strcmp(argv[1], "loop") == 0 ? std::atoi(argv[2]) : ROUNDS;
    dl_iterate_phdr(find_driver, nullptr);
    if (driver_code.begin == 0)
        return 3;
    const uint64_t before = allocations.load();
    for (int i = 0; i < rounds; ++i)
        polls += transfer(bench);
    const uint64_t made = allocations.load() - before;
    std::printf("{\"transfers\": %d, \"polls\": %d, \"allocations\": %llu}\n", WARM + rounds, polls,
                static_cast<unsigned long long>(made));
    return made == 0 ? 0 : 1;
}
