// SPDX-License-Identifier: Apache-2.0
// Scattered blocks to, from, within and between GPUs, beside the bare kernel with its table on the
// GPU already. Blocks are shuffled at both ends. For each shape one JSON line: median microseconds
// over alternating rounds; contents are compared after them.
#include <cstring>
#include <memory>
#include <numeric>
#include <random>

#include "backends/cuda/gpu_kernels.h"
#include "gpu.h"

namespace {

using namespace nixl_perf;

constexpr uint32_t COUNT = 65'536;
constexpr uint64_t BUFFER_BYTES = COUNT * 16 * KIB;

std::vector<uint32_t> shuffled(uint32_t seed) {
    std::vector<uint32_t> order(COUNT);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), std::mt19937(seed));
    return order;
}

/// Memory that every context and the bare kernel use.
struct Memory {
    uint32_t kind;
    int device;
    Address address = 0;
};

class Machine {
  public:
    explicit Machine(const CudaDriver& driver) : driver(driver), context(context_of(driver, 0)) {
        const CudaScope scope(driver, context);
        check(kernels.load(driver, 0), "kernels");
        check(driver.call.stream_create(&stream, STREAM_NON_BLOCKING, 0), "stream");
        check(driver.call.event_create(&event, EVENT_DISABLE_TIMING), "event");
        check(driver.call.memory_alloc(&indices, 2 * COUNT * sizeof(uint32_t)), "memory");
        copy(indices, reinterpret_cast<uintptr_t>(source_order.data()), COUNT * sizeof(uint32_t));
        copy(indices + COUNT * sizeof(uint32_t), reinterpret_cast<uintptr_t>(target_order.data()),
             COUNT * sizeof(uint32_t));
    }
    [[nodiscard]] Memory make(uint32_t kind, int device) const {
        Memory memory{kind, device};
        const CudaScope scope(driver, context_of(driver, std::max(device, 0)));
        void* host = nullptr;
        if (kind == NIXL_KIND_DEVICE) {
            check(driver.call.memory_alloc(&memory.address, BUFFER_BYTES), "memory");
        } else {
            check(driver.call.host_alloc(&host, BUFFER_BYTES, HOST_PORTABLE | HOST_DEVICE_MAP),
                  "memory");
            memory.address = reinterpret_cast<uintptr_t>(host);
        }
        return memory;
    }
    void copy(Address target, Address source, uint64_t bytes) const {
        const CudaScope scope(driver, context);
        check(driver.call.copy(target, source, bytes, stream), "copy");
        check(driver.call.stream_synchronize(stream), "copy");
    }
    /// The kernel alone, by index, from GPU 0. Returns what its launch took, in us.
    [[nodiscard]] double run_bare(const Memory& from, const Memory& into, uint64_t bytes,
                                  uint32_t sms) const {
        const auto* const first = reinterpret_cast<const uint32_t*>(indices);
        const auto stride = static_cast<int64_t>(bytes);
        const CopyList list{nullptr,
                            {from.address, stride, nullptr, first},
                            {into.address, stride, nullptr, first + COUNT},
                            bytes,
                            COUNT};
        const double launch_us = time_us([&] {
            check(kernels.has_bulk() ? kernels.launch_bulk(list, sms, stream)
                                     : kernels.launch_plain(list, sms, stream),
                  "launch");
            check(driver.call.event_record(event, stream), "record");
        });
        CuResult state = CuResult::NOT_READY;
        while (state == CuResult::NOT_READY)
            state = driver.call.event_query(event);
        check(state, "bare kernel");
        return launch_us;
    }

    const CudaDriver& driver;
    const Context context;
    const std::vector<uint32_t> source_order = shuffled(1), target_order = shuffled(2);
    GpuKernels kernels;
    Stream stream = nullptr;
    Event event = nullptr;
    Address indices = 0;
};

/// How blocks are given: a run each; two lists in order, posted by shuffled indices; two shuffled
/// lists, posted whole.
enum class Form { RUNS, INDEX, LISTS };

const char* name_of(Form form) {
    return form == Form::RUNS ? "runs" : form == Form::INDEX ? "index" : "lists";
}

class GatherBench {
  public:
    GatherBench(const Machine& machine, const char* sms, const char* kernel_gpu)
        : machine_(machine) {
        const nixl_setting settings[] = {{"cuda.sm_budget", sms}, {"cuda.kernel_gpu", kernel_gpu}};
        check(nixl_context_open(settings, 2, &context_), "open");
        sms_ = static_cast<uint32_t>(std::atoi(sms));
    }
    ~GatherBench() { check(nixl_context_close(context_), "close"); }
    GatherBench(const GatherBench&) = delete;
    GatherBench& operator=(const GatherBench&) = delete;

    void measure(const char* work, const Memory& from, const Memory& into, uint64_t bytes,
                 Form form) {
        const nixl_buffer source = wrap(from), target = wrap(into);
        fill(from, into, bytes);
        Work prepared = form == Form::RUNS ? by_runs(source, target, bytes)
                                           : by_lists(source, target, bytes, form);
        std::vector<double> ours, posted, bare, launched;
        for (int round = -2; round < 9; ++round) {
            double post_us = 0;
            const double all_us = time_us([&] {
                post_us = time_us([&] { post(prepared, form); });
                while (nixl_request_poll(context_, prepared.request) == NIXL_IN_PROGRESS) {}
            });
            check(nixl_request_poll(context_, prepared.request), "transfer");
            double launch_us = 0;
            const double bare_us =
                time_us([&] { launch_us = machine_.run_bare(from, into, bytes, sms_); });
            if (round < 0)
                continue;
            ours.push_back(all_us);
            posted.push_back(post_us);
            bare.push_back(bare_us);
            launched.push_back(launch_us);
        }
        clear(into, bytes);
        post(prepared, form);
        check(nixl_request_wait(context_, prepared.request, -1), "wait");
        std::printf("{\"work\": \"%s\", \"block\": %llu, \"count\": %u, \"sms\": %u, "
                    "\"form\": \"%s\", \"nixl_us\": %.2f, \"post_us\": %.2f, \"raw_us\": %.2f, "
                    "\"raw_post_us\": %.2f, \"prepare_us\": %.2f, \"create_us\": %.2f, "
                    "\"wrong\": %u}\n",
                    work, static_cast<unsigned long long>(bytes), COUNT, sms_, name_of(form),
                    median(ours), median(posted), median(bare), median(launched),
                    prepared.prepare_us, prepared.create_us, wrong(into, bytes));
        std::fflush(stdout);
        check(nixl_request_release(context_, prepared.request), "release");
        for (const nixl_list list : prepared.lists)
            check(nixl_list_release(context_, list), "release");
        check(nixl_buffer_free(context_, source, -1), "free");
        check(nixl_buffer_free(context_, target, -1), "free");
    }

  private:
    struct Work {
        nixl_request request{};
        std::vector<nixl_run> runs;
        std::vector<nixl_list> lists;
        double prepare_us = 0, create_us = 0;
    };

    nixl_buffer wrap(const Memory& memory) const {
        nixl_buffer buffer{};
        check(nixl_buffer_wrap(context_, reinterpret_cast<void*>(memory.address), BUFFER_BYTES,
                               memory.kind, memory.device, 0, &buffer),
              "wrap");
        return buffer;
    }
    Work by_runs(nixl_buffer source, nixl_buffer target, uint64_t bytes) const {
        Work work;
        for (uint32_t i = 0; i < COUNT; ++i)
            work.runs.push_back({machine_.source_order[i] * bytes, machine_.target_order[i] * bytes,
                                 bytes, 0, 0, 1, 0, 0});
        work.create_us = time_us([&] {
            check(nixl_request_create_runs(context_, &source, &target, 1, work.runs.data(), COUNT,
                                           NIXL_RUNS_BORROWED, &work.request),
                  "create");
        });
        return work;
    }
    Work by_lists(nixl_buffer source, nixl_buffer target, uint64_t bytes, Form form) const {
        Work work;
        work.lists.resize(2);
        for (const bool is_source : {true, false}) {
            const auto& order = is_source ? machine_.source_order : machine_.target_order;
            std::vector<nixl_block> blocks;
            for (uint32_t i = 0; i < COUNT; ++i)
                blocks.push_back({(form == Form::LISTS ? order[i] : i) * bytes, bytes, 0, 1, 0, 0});
            work.prepare_us = time_us([&] {
                check(nixl_list_create(context_, is_source ? &source : &target, 1, blocks.data(),
                                       COUNT, &work.lists[is_source ? 0 : 1]),
                      "list");
            });
        }
        work.create_us = time_us([&] {
            check(nixl_request_create_lists(context_, work.lists[0], work.lists[1], &work.request),
                  "create");
        });
        return work;
    }
    void post(const Work& work, Form form) const {
        check(form != Form::INDEX
                  ? nixl_request_post(context_, work.request, nullptr)
                  : nixl_request_post_indexed(context_, work.request, machine_.source_order.data(),
                                              machine_.target_order.data(), COUNT, nullptr),
              "post");
    }

    // Contents: each word of the source holds a number of its own.
    static uint32_t word(uint64_t number) { return static_cast<uint32_t>(number * 2654435761u); }
    void fill(const Memory& from, const Memory& into, uint64_t bytes) {
        words_.resize(COUNT * bytes / sizeof(uint32_t));
        for (uint64_t i = 0; i < words_.size(); ++i)
            words_[i] = word(i);
        machine_.copy(from.address, reinterpret_cast<uintptr_t>(words_.data()), COUNT * bytes);
        clear(into, bytes);
    }
    void clear(const Memory& into, uint64_t bytes) const {
        const std::vector<uint32_t> zeros(COUNT * bytes / sizeof(uint32_t));
        machine_.copy(into.address, reinterpret_cast<uintptr_t>(zeros.data()), COUNT * bytes);
    }
    /// Blocks that are not what they should be.
    uint32_t wrong(const Memory& into, uint64_t bytes) const {
        std::vector<uint32_t> got(words_.size());
        machine_.copy(reinterpret_cast<uintptr_t>(got.data()), into.address, COUNT * bytes);
        const uint64_t words = bytes / sizeof(uint32_t);
        uint32_t bad = 0;
        for (uint32_t i = 0; i < COUNT; ++i)
            bad += std::memcmp(&got[machine_.target_order[i] * words],
                               &words_[machine_.source_order[i] * words], bytes) != 0;
        return bad;
    }

    const Machine& machine_;
    nixl_context context_{};
    uint32_t sms_ = 0;
    std::vector<uint32_t> words_;
};

void measure(const Machine& machine, const char* work, const Memory& from, const Memory& into,
             const std::vector<const char*>& budgets, const char* kernel_gpu = "target") {
    for (const char* const sms : budgets) {
        GatherBench bench(machine, sms, kernel_gpu);
        for (const uint64_t bytes : {1 * KIB, 4 * KIB, 16 * KIB})
            for (const Form form : {Form::RUNS, Form::INDEX, Form::LISTS})
                bench.measure(work, from, into, bytes, form);
    }
}

} // namespace

int main() {
    const CudaDriver& driver = driver_or_exit();
    print_machine(driver);
    const Machine machine(driver);
    const CudaScope scope(driver, machine.context);
    const Memory host = machine.make(NIXL_KIND_PINNED, -1), gpu = machine.make(NIXL_KIND_DEVICE, 0);
    const Memory second = machine.make(NIXL_KIND_DEVICE, 0);
    measure(machine, "host to GPU", host, gpu, {"2", "8"});
    measure(machine, "GPU to host", gpu, host, {"2", "8"});
    measure(machine, "within a GPU", gpu, second, {"8", "0"});
    if (driver.devices < 2)
        return 0;
    const Memory other = machine.make(NIXL_KIND_DEVICE, 1);
    (void)driver.call.peer_enable(context_of(driver, 1), 0);
    measure(machine, "GPU to GPU, read", other, gpu, {"8", "0"});
    measure(machine, "GPU to GPU, written", gpu, other, {"8", "32", "0"}, "source");
    return 0;
}
