// SPDX-License-Identifier: Apache-2.0
// The cuda backend over the simulated driver, or the machine's with NIXL_TEST_GPU: one queue, and
// memory to move between.
#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "backends/builtin.h"
#include "tests/support/gpu_memory.h"
#include "tests/unit/backends/queue_rig.h"

namespace nixl::test::host_queues {

using core::CudaScope;
using core::cuda::Address;
using core::cuda::Context;
using core::cuda::CuResult;

/// A stream of the program's that is held up until it is opened, at its end at the latest.
class Gate {
  public:
    explicit Gate(core::cuda::Context context) : context_(context) {
        const auto& call = test_driver().call;
        const core::CudaScope scope(test_driver(), context_);
        EXPECT_EQ(call.stream_create(&stream_, core::cuda::STREAM_NON_BLOCKING, 0),
                  core::cuda::CuResult::SUCCESS);
        EXPECT_EQ(call.stream_callback(stream_, &Gate::wait, &is_open_, 0),
                  core::cuda::CuResult::SUCCESS);
    }
    ~Gate() {
        open();
        const core::CudaScope scope(test_driver(), context_);
        EXPECT_EQ(test_driver().call.stream_synchronize(stream_), core::cuda::CuResult::SUCCESS);
        EXPECT_EQ(test_driver().call.stream_destroy(stream_), core::cuda::CuResult::SUCCESS);
    }
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;
    [[nodiscard]] core::cuda::Stream stream() const { return stream_; }
    void open() { is_open_ = true; }

  private:
    static void wait(core::cuda::Stream, core::cuda::CuResult, void* is_open) {
        while (!static_cast<std::atomic<bool>*>(is_open)->load())
            std::this_thread::yield();
    }

    const core::cuda::Context context_;
    core::cuda::Stream stream_ = nullptr;
    std::atomic<bool> is_open_{false};
};

class CudaBackend : public ::testing::Test {
  protected:
    void SetUp() override {
        if (const std::string refusal = gpu_refusal(); !refusal.empty())
            GTEST_SKIP() << refusal;
        for (const auto& [key, value] : test_gpu_settings())
            host.set(key, value);
        open();
    }
    /// Opens what is there, anew with these settings where there was something before.
    void open(const std::vector<std::pair<std::string, std::string>>& settings = {}) {
        TearDown();
        registrations.clear();
        for (const auto& [key, value] : settings)
            host.set(key, value);
        table = load(nixl_backend_entry_cuda, host);
        ASSERT_EQ(table.open(table.self, host.table(), &instance, nullptr), NIXL_OK);
        ASSERT_EQ(table.queue_open(instance, 0, this, &queue, nullptr), NIXL_OK);
    }
    void TearDown() override {
        if (instance == nullptr)
            return;
        table.queue_close(queue);
        for (void* registration : registrations)
            table.detach(instance, registration);
        table.close(instance);
    }

    /// All of the runs, over `pair`.
    nixl_batch batch_of(const std::vector<nixl_run>& runs) {
        nixl_batch batch{};
        batch.struct_size = sizeof batch;
        batch.pairs = &pair;
        batch.pair_count = 1;
        batch.runs = runs.data();
        batch.run_count = runs.size();
        for (const nixl_run& run : runs)
            batch.element_count += run.count;
        batch.tag = 7;
        return batch;
    }
    nixl_status attach(uint32_t kind, uint64_t address, uint64_t bytes, int device,
                       nixl_region* out) {
        nixl_region_desc desc{};
        desc.struct_size = sizeof desc;
        desc.kind = kind;
        desc.address = address;
        desc.bytes = bytes;
        desc.device = device;
        desc.fd = -1;
        char text[512] = "";
        nixl_error_text error{text, sizeof text, 0, 0};
        const nixl_status status = table.attach(instance, &desc, &out->registration, &error);
        out->base = reinterpret_cast<void*>(address);
        why = text;
        if (status == NIXL_OK)
            registrations.push_back(out->registration);
        return status;
    }
    nixl_region pinned(const Bytes& bytes, uint64_t offset, uint64_t length) {
        nixl_region region{};
        EXPECT_EQ(attach(NIXL_KIND_PINNED, reinterpret_cast<uintptr_t>(bytes.data()) + offset,
                         length, -1, &region),
                  NIXL_OK)
            << why;
        return region;
    }
    nixl_region on_gpu(const GpuMemory& memory, uint64_t bytes) {
        nixl_region region{};
        EXPECT_EQ(attach(NIXL_KIND_DEVICE, memory.address(), bytes, memory.device(), &region),
                  NIXL_OK)
            << why;
        return region;
    }
    /// Copies `bytes` from the start of one region to that of the other.
    nixl_status copy(nixl_region from, nixl_region to, uint64_t bytes, void* stream = nullptr) {
        submit(from, to, bytes, stream);
        return finished();
    }
    void submit(nixl_region from, nixl_region to, uint64_t bytes, void* stream = nullptr) {
        pair = {from, to};
        run = single(0, 0, bytes);
        nixl_batch batch{};
        batch.struct_size = sizeof batch;
        batch.pair_count = batch.run_count = batch.element_count = 1;
        batch.pairs = &pair;
        batch.runs = &run;
        batch.stream = stream;
        batch.tag = 1;
        EXPECT_EQ(table.submit(queue, &batch), 1u);
    }
    nixl_status finished() {
        const auto end = std::chrono::steady_clock::now() + PATIENCE;
        nixl_completion entry{};
        while (table.poll(queue, &entry, 1) == 0)
            if (std::chrono::steady_clock::now() > end)
                return NIXL_TIMED_OUT;
        return entry.status;
    }

    FakeHost host{1};
    nixl_backend_v1 table{};
    void *instance = nullptr, *queue = nullptr;
    std::vector<void*> registrations;
    nixl_region_pair pair{};
    nixl_run run{};
    std::string why;
};

} // namespace nixl::test::host_queues
