// SPDX-License-Identifier: Apache-2.0
// The cuda backend beside what the kit asks of every backend: page-locking, streams of the caller,
// sleeping through long copies. Over the simulated driver, or the machine's with NIXL_TEST_GPU.
#include <dlfcn.h>

#include <gtest/gtest.h>

#include "tests/unit/backends/cuda_rig.h"

namespace nixl::test::host_queues {
namespace {

constexpr uint64_t PAGE = 4096;

// The driver refuses bytes twice, and a copy across two registrations.
TEST_F(CudaBackend, BuffersThatShareMemory_arePageLockedAndCopiedWhole) {
    constexpr uint64_t BYTES = 16 * PAGE;
    const Bytes content = random_bytes(BYTES, 1);
    const GpuMemory memory(BYTES, NIXL_KIND_DEVICE, 0);
    const nixl_region target = on_gpu(memory, BYTES);
    const nixl_region middle = pinned(content, 5 * PAGE + 10, 2 * PAGE);
    const nixl_region within = pinned(content, 5 * PAGE + 20, 100);
    const nixl_region whole = pinned(content, 0, BYTES);

    for (const nixl_region& source : {middle, within}) {
        const auto* const first = static_cast<const unsigned char*>(source.base);
        ASSERT_EQ(copy(source, target, 100), NIXL_OK);
        EXPECT_EQ(memory.read(0, 100), Bytes(first, first + 100));
    }
    ASSERT_EQ(copy(whole, target, BYTES), NIXL_OK);
    EXPECT_EQ(memory.read(0, BYTES), content);
}

TEST_F(CudaBackend, MemoryThatTheProgramPageLocked_isTakenAsItIs) {
    constexpr uint64_t BYTES = 4 * PAGE;
    const auto& call = test_driver().call;
    const GpuMemory memory(BYTES, NIXL_KIND_DEVICE, 0); // keeps a context
    Context context = nullptr;
    ASSERT_EQ(call.context_retain(&context, 0), CuResult::SUCCESS);
    void* locked = nullptr;
    {
        const CudaScope scope(test_driver(), context);
        ASSERT_EQ(call.host_alloc(&locked, BYTES, 0), CuResult::SUCCESS);
    }
    const Bytes content = random_bytes(BYTES, 2);
    std::copy(content.begin(), content.end(), static_cast<unsigned char*>(locked));
    nixl_region source{};
    ASSERT_EQ(attach(NIXL_KIND_PINNED, reinterpret_cast<uintptr_t>(locked), BYTES, -1, &source),
              NIXL_OK)
        << why;

    ASSERT_EQ(copy(source, on_gpu(memory, BYTES), BYTES), NIXL_OK);
    EXPECT_EQ(memory.read(0, BYTES), content);

    table.detach(instance, source.registration);
    registrations.erase(registrations.begin());
    const CudaScope scope(test_driver(), context);
    EXPECT_EQ(call.host_free(locked), CuResult::SUCCESS) << "it was given back by the library";
    (void)call.context_release(0);
}

TEST_F(CudaBackend, StreamOfTheCaller_isWaitedFor) {
    constexpr uint64_t BYTES = 1 << 20;
    const auto& call = test_driver().call;
    const GpuMemory first(BYTES, NIXL_KIND_DEVICE, 0), second(BYTES, NIXL_KIND_DEVICE, 0);
    const GpuMemory elsewhere(BYTES, NIXL_KIND_DEVICE, 1);
    const nixl_region source = on_gpu(first, BYTES), target = on_gpu(second, BYTES);
    const nixl_region far = on_gpu(elsewhere, BYTES);
    for (const int device : {0, 1}) {
        Context context = nullptr;
        const int number = device % static_cast<int>(test_driver().devices);
        ASSERT_EQ(call.context_retain(&context, number), CuResult::SUCCESS);
        const CudaScope scope(test_driver(), context);
        Gate gate(context);
        const auto value = static_cast<unsigned char>(5 + device);
        const Address filled = number == 0 ? first.address() : elsewhere.address();
        ASSERT_EQ(call.fill(filled, value, BYTES, gate.stream()), CuResult::SUCCESS);
        submit(number == 0 ? source : far, target, BYTES, gate.stream());
        nixl_completion entry{};
        for (int look = 0; look < 100; ++look)
            EXPECT_EQ(table.poll(queue, &entry, 1), 0u) << "it did not wait for the stream";
        gate.open();
        EXPECT_EQ(finished(), NIXL_OK);
        EXPECT_EQ(second.read(0, BYTES), Bytes(BYTES, value)) << "it did not wait for the stream";
        (void)call.context_release(number);
    }
}

// A registration that a freed buffer leaves behind may hold pages that are elsewhere by now.
TEST_F(CudaBackend, MemoryOfAFreedBuffer_isNotTakenForItsSuccessors) {
    constexpr uint64_t BYTES = 16 * PAGE;
    const Bytes content = random_bytes(BYTES, 3);
    const auto first = reinterpret_cast<uintptr_t>(content.data());
    nixl_region whole{}, half{}, again{};
    ASSERT_EQ(attach(NIXL_KIND_PINNED, first, BYTES, -1, &whole), NIXL_OK);
    ASSERT_EQ(attach(NIXL_KIND_PINNED, first + BYTES / 2, BYTES / 4, -1, &half), NIXL_OK);
    table.detach(instance, whole.registration);
    registrations.erase(registrations.begin());

    EXPECT_EQ(attach(NIXL_KIND_PINNED, first, BYTES / 4, -1, &again), NIXL_BUSY);
    EXPECT_NE(why.find("free those first"), std::string::npos) << why;
    EXPECT_EQ(attach(NIXL_KIND_PINNED, first + BYTES / 2 + 5, PAGE, -1, &again), NIXL_OK) << why;

    for (void* registration : registrations)
        table.detach(instance, registration);
    registrations.clear();
    EXPECT_EQ(attach(NIXL_KIND_PINNED, first, BYTES / 4, -1, &again), NIXL_OK) << why;
}

TEST_F(CudaBackend, SleepingDriver_isWokenAndHelpEndsInTime) {
    constexpr uint64_t BYTES = 8 << 20;
    const Bytes content = random_bytes(BYTES, 4);
    const GpuMemory memory(BYTES, NIXL_KIND_DEVICE, 0);
    const nixl_region source = pinned(content, 0, BYTES), target = on_gpu(memory, BYTES);
    uint64_t armed = 0;
    for (int round = 0; round < 100; ++round) {
        const uint64_t before = host.wakes(this);
        submit(source, target, BYTES);
        if (table.arm(queue) == 1) {
            ++armed;
            ASSERT_TRUE(host.wait_for_wakes(this, before + 1, PATIENCE));
        }
        ASSERT_EQ(finished(), NIXL_OK);
        submit(source, target, BYTES);
        nixl_completion entry{};
        while (table.poll(queue, &entry, 1) == 0)
            (void)table.assist(queue);
        ASSERT_EQ(entry.status, NIXL_OK);
    }
    EXPECT_GT(armed, 0u);
    EXPECT_EQ(memory.read(0, BYTES), content);
}

// A full stream of the driver blocks its caller, which holds the queue.
TEST_F(CudaBackend, ArmedAgainAndAgain_oneCallIsEnough) {
    const auto& call = test_driver().call;
    const GpuMemory first(PAGE, NIXL_KIND_DEVICE, 0), second(PAGE, NIXL_KIND_DEVICE, 0);
    const nixl_region source = on_gpu(first, PAGE), target = on_gpu(second, PAGE);
    Context context = nullptr;
    ASSERT_EQ(call.context_retain(&context, 0), CuResult::SUCCESS);
    Gate gate(context);
    const uint64_t before = host.wakes(this);
    submit(source, target, PAGE, gate.stream());
    for (int time = 0; time < 2000; ++time)
        EXPECT_EQ(table.arm(queue), 1);
    EXPECT_EQ(host.wakes(this), before);
    gate.open();
    EXPECT_TRUE(host.wait_for_wakes(this, before + 1, PATIENCE));
    EXPECT_EQ(finished(), NIXL_OK);
    EXPECT_EQ(host.wakes(this), before + 1);
    (void)call.context_release(0); // the buffers keep it
}

TEST_F(CudaBackend, WhatItCannotReach_isRefusedWithTheReason) {
    nixl_region region{};
    EXPECT_EQ(attach(NIXL_KIND_HOST, 4096, 1, -1, &region), NIXL_UNSUPPORTED);
    EXPECT_NE(why.find("page-locked host memory"), std::string::npos) << why;
    EXPECT_EQ(attach(NIXL_KIND_DEVICE, 4096, 1, 63, &region), NIXL_NOT_FOUND);
    EXPECT_NE(why.find("there is no GPU 63"), std::string::npos) << why;
}

TEST_F(CudaBackend, DetailOfAFailure_isToldInTheDriversWords) {
    char text[100] = "";
    nixl_error_text out{text, sizeof text, 0, 0};
    table.text_of(instance, static_cast<int>(CuResult::ILLEGAL_ADDRESS), &out);
    EXPECT_STREQ(text, "an illegal memory access was encountered (CUDA_ERROR_ILLEGAL_ADDRESS)");
}

TEST_F(CudaBackend, NothingUnderWay_isNoHelp) {
    EXPECT_EQ(table.assist(queue), 0);
    const Bytes content(PAGE);
    const GpuMemory memory(PAGE, NIXL_KIND_DEVICE, 0);
    EXPECT_EQ(copy(pinned(content, 0, PAGE), on_gpu(memory, PAGE), PAGE), NIXL_OK);
    EXPECT_EQ(table.assist(queue), 0);
}

/// What a lost GPU was stays lost for the process: a run of its own, see meson.build.
TEST_F(CudaBackend, LostGpu_endsEverythingOnItAndWakesWhoSleeps) {
    using SetFaults = int (*)(const char*);
    if (test_gpus().simulated == 0)
        GTEST_SKIP() << "a machine's GPU cannot be lost on demand";
    void* const library = ::dlopen("libnixl-simcuda.so", RTLD_NOW | RTLD_NOLOAD);
    const auto set_faults = reinterpret_cast<SetFaults>(
        ::dlsym(library != nullptr ? library : RTLD_DEFAULT, "nixl_simcuda_faults"));
    ASSERT_NE(set_faults, nullptr);
    constexpr uint64_t BYTES = 1 << 20;
    const Bytes content = random_bytes(BYTES, 5);
    const GpuMemory memory(BYTES, NIXL_KIND_DEVICE, 1), other(BYTES, NIXL_KIND_DEVICE, 0);
    const nixl_region source = pinned(content, 0, BYTES), target = on_gpu(memory, BYTES);
    ASSERT_EQ(set_faults("lost@1,slow=20000"), 0);
    const uint64_t before = host.wakes(this);
    submit(source, target, BYTES);
    ASSERT_EQ(table.arm(queue), 1);
    EXPECT_TRUE(host.wait_for_wakes(this, before + 1, PATIENCE)) << "nobody woke the sleeper";
    EXPECT_EQ(finished(), NIXL_IO_ERROR);

    EXPECT_EQ(copy(source, target, BYTES), NIXL_IO_ERROR) << "at once, and for good";
    // All that is offered, of any form, and by other queues.
    pair = {source, target};
    std::vector<nixl_run> runs = {strided(0, 0, 64, 128, 128, 1000)};
    for (uint64_t i = 0; i < 100; ++i)
        runs.push_back(single(i * 512, i * 512 + 64, 32));
    void* other_queue = nullptr;
    ASSERT_EQ(table.queue_open(instance, 1, this, &other_queue, nullptr), NIXL_OK);
    for (void* const through : {queue, other_queue}) {
        nixl_batch batch = batch_of(runs);
        EXPECT_EQ(table.submit(through, &batch), 1100u);
        for (uint64_t left = 1100; left != 0;) {
            nixl_completion entry{};
            ASSERT_EQ(table.poll(through, &entry, 1), 1u) << left;
            EXPECT_EQ(entry.status, NIXL_IO_ERROR);
            left -= entry.element_count;
        }
    }
    table.queue_close(other_queue);
    ASSERT_EQ(set_faults(""), 0);
    EXPECT_EQ(copy(source, on_gpu(other, BYTES), BYTES), NIXL_OK) << "other GPUs go on";
    EXPECT_EQ(other.read(0, BYTES), content);
}

} // namespace
} // namespace nixl::test::host_queues
