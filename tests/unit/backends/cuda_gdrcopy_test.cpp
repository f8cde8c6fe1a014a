// SPDX-License-Identifier: Apache-2.0
// Small copies that the processor makes through mappings of GPU memory: which ones, that the bytes
// arrive, and that nothing is touched that is gone. Over the simulated driver and its look-alike of
// GDRCopy, or the machine's with NIXL_TEST_GPU.
#include <dlfcn.h>

#include "platform/gdrcopy.h"
#include "tests/support/mapped_row.h"
#include "tests/unit/backends/cuda_rig.h"

namespace nixl::test::host_queues {
namespace {

constexpr uint64_t BYTES = 1 << 20, KIB = 1024;
constexpr uint64_t MOST_IN = 16 * KIB, MOST_OUT = 1 * KIB; // of one transfer, by default

template <typename Function> Function simulation(const char* name) {
    void* const library = ::dlopen("libnixl-simcuda.so", RTLD_NOW | RTLD_NOLOAD);
    return reinterpret_cast<Function>(::dlsym(library != nullptr ? library : RTLD_DEFAULT, name));
}

class CudaGdrCopy : public CudaBackend {
  protected:
    void SetUp() override {
        CudaBackend::SetUp();
        if (IsSkipped())
            return;
        if (const auto found = core::gdrcopy(test_gpus(), "true"); !found.ok())
            GTEST_SKIP() << found.error().message;
        open({{"enable_gdrcopy", "true"}});
    }
    /// Copies through mappings so far; 0 where they are not simulated.
    static long copies() {
        const auto count = simulation<long (*)()>("nixl_simcuda_gdr_copies");
        return test_gpus().simulated != 0 ? count() : 0;
    }
    /// Whether the batch was moved at once; the path has to say the same.
    bool moves(nixl_region from, nixl_region to, const std::vector<nixl_run>& runs) {
        pair = {from, to};
        const nixl_batch batch = batch_of(runs);
        const long before = copies();
        const bool said =
            std::string(table.engine_of(instance, &batch)).find("GDRCopy") != std::string::npos;
        const bool moved = table.move_now(queue, &batch) == NIXL_OK;
        EXPECT_EQ(said, moved);
        if (test_gpus().simulated != 0) {
            EXPECT_EQ(copies() - before, moved ? static_cast<long>(batch.element_count) : 0);
        }
        return moved;
    }
    uint32_t probed_flags() {
        nixl_caps caps{};
        caps.struct_size = sizeof caps;
        EXPECT_EQ(table.probe(table.self, host.table(), &caps, nullptr), NIXL_OK);
        return caps.flags;
    }
};

// Proves: S-031 S-112
TEST_F(CudaGdrCopy, UpToTheLimit_itIsOverWithinThePost) {
    const GpuMemory memory(BYTES, NIXL_KIND_DEVICE, 0);
    const Bytes content = random_bytes(BYTES, 1);
    Bytes back(BYTES);
    const nixl_region source = pinned(content, 0, BYTES), gpu = on_gpu(memory, BYTES),
                      target = pinned(back, 0, BYTES);
    const bool simulated = test_gpus().simulated != 0;
    for (const uint64_t bytes : {uint64_t{1}, MOST_IN - 1, MOST_IN}) {
        EXPECT_TRUE(moves(source, gpu, {single(3, 5, bytes)})) << bytes;
        EXPECT_EQ(memory.read(5, bytes),
                  Bytes(content.begin() + 3, content.begin() + 3 + static_cast<long>(bytes)));
    }
    EXPECT_FALSE(moves(source, gpu, {single(0, 0, MOST_IN + 1)}));
    memory.write(0, content);
    for (const uint64_t bytes : {MOST_OUT - 1, MOST_OUT}) {
        EXPECT_TRUE(moves(gpu, target, {single(70'001, 9, bytes)})) << bytes;
        EXPECT_TRUE(std::equal(back.begin() + 9, back.begin() + 9 + static_cast<long>(bytes),
                               content.begin() + 70'001));
    }
    EXPECT_FALSE(moves(gpu, target, {single(0, 0, MOST_OUT + 1)}));
    const std::vector<nixl_run> one = {single(0, 0, 1)};
    const nixl_batch batch = batch_of(one);
    EXPECT_STREQ(table.engine_of(instance, &batch),
                 simulated ? "mapped copy (GDRCopy) (simulated)" : "mapped copy (GDRCopy)");
}

// Proves: S-112
TEST_F(CudaGdrCopy, LimitsOfTheSettings_hold) {
    constexpr uint64_t LIMIT = 256 * KIB;
    open({{"cuda.gdrcopy_write_bytes", std::to_string(LIMIT - 1)},
          {"cuda.gdrcopy_read_bytes", "0"}});
    const GpuMemory memory(BYTES, NIXL_KIND_DEVICE, 0);
    Bytes content = random_bytes(BYTES, 2);
    const nixl_region host_side = pinned(content, 0, BYTES), gpu = on_gpu(memory, BYTES);
    EXPECT_TRUE(moves(host_side, gpu, {single(0, 0, LIMIT - 1)}));
    EXPECT_EQ(memory.read(0, LIMIT - 1), Bytes(content.begin(), content.begin() + LIMIT - 1));
    EXPECT_FALSE(moves(host_side, gpu, {single(0, 0, LIMIT)}));
    EXPECT_FALSE(moves(host_side, gpu, {single(0, 0, LIMIT + 1)}));
    EXPECT_FALSE(moves(gpu, host_side, {single(0, 0, 1)}));
}

TEST_F(CudaGdrCopy, SeveralElements_areCountedTogetherAndArriveWhole) {
    const GpuMemory memory(BYTES, NIXL_KIND_DEVICE, 0);
    const Bytes content = random_bytes(BYTES, 3);
    const nixl_region source = pinned(content, 0, BYTES), gpu = on_gpu(memory, BYTES);
    const std::vector<nixl_run> runs = {strided(1, 7, 100, 1000, 300, 5), single(9000, 65'530, 11),
                                        strided(20'000, 90'000, 64, -64, 128, 3)};
    Bytes expected(BYTES);
    memory.write(0, expected);
    copy_as_told(runs, content, &expected);
    EXPECT_TRUE(moves(source, gpu, runs));
    EXPECT_EQ(memory.read(0, BYTES), expected);

    EXPECT_TRUE(moves(source, gpu, {strided(0, 0, KIB, KIB, 2 * KIB, 16)}));
    EXPECT_FALSE(moves(source, gpu, {strided(0, 0, KIB, KIB, 2 * KIB, 16), single(0, 0, 1)}));
    EXPECT_FALSE(moves(source, gpu, {strided(0, 0, 1, 1, 2, 17)})) << "scattered work";
}

TEST_F(CudaGdrCopy, PreparedBlocks_areMovedByIndex) {
    const GpuMemory memory(BYTES, NIXL_KIND_DEVICE, 0);
    const Bytes content = random_bytes(BYTES, 4);
    const nixl_region sides[] = {pinned(content, 0, BYTES), on_gpu(memory, BYTES)};
    std::vector<nixl_block> blocks;
    for (uint64_t i = 0; i < 8; ++i)
        blocks.push_back({i * 4 * KIB, KIB, 0, 1, 0, 0});
    void* lists[2] = {};
    for (int side = 0; side < 2; ++side)
        ASSERT_EQ(table.prepare(instance, &sides[side], 1, blocks.data(), blocks.size(), -1,
                                &lists[side], nullptr),
                  NIXL_OK);
    const uint32_t from[] = {7, 0, 3}, to[] = {1, 5, 2};
    nixl_batch batch{};
    batch.struct_size = sizeof batch;
    batch.element_count = 3;
    batch.prepared_source = lists[0];
    batch.prepared_target = lists[1];
    batch.source_indices = from;
    batch.target_indices = to;
    EXPECT_EQ(table.move_now(queue, &batch), NIXL_OK);
    for (int i = 0; i < 3; ++i) {
        const auto* const first = content.data() + from[i] * 4 * KIB;
        EXPECT_EQ(memory.read(to[i] * 4 * KIB, KIB), Bytes(first, first + KIB));
    }
    for (void* const list : lists)
        table.unprepare(instance, list);
}

TEST_F(CudaGdrCopy, WhatWaitsForAStreamOrLiesOnOneSide_goesTheOtherWay) {
    const GpuMemory memory(BYTES, NIXL_KIND_DEVICE, 0), other(BYTES, NIXL_KIND_DEVICE, 1),
        managed(BYTES, NIXL_KIND_MANAGED, 0);
    const Bytes content = random_bytes(BYTES, 5), more(BYTES);
    const nixl_region source = pinned(content, 0, BYTES), gpu = on_gpu(memory, BYTES);
    nixl_region moving{};
    ASSERT_EQ(attach(NIXL_KIND_MANAGED, managed.address(), BYTES, 0, &moving), NIXL_OK) << why;
    EXPECT_FALSE(moves(gpu, on_gpu(other, BYTES), {single(0, 0, 64)}));
    EXPECT_FALSE(moves(gpu, gpu, {single(0, 64, 64)}));
    EXPECT_FALSE(moves(source, pinned(more, 0, BYTES), {single(0, 0, 64)}));
    EXPECT_FALSE(moves(source, moving, {single(0, 0, 64)}));
    const std::vector<nixl_run> runs = {single(0, 0, 64)};
    nixl_batch batch = batch_of(runs);
    pair = {source, gpu};
    batch.stream = this; // not looked at
    EXPECT_EQ(table.move_now(queue, &batch), NIXL_AGAIN);
}

// A mapping of freed memory is gone: touching it would end the process.
TEST_F(CudaGdrCopy, FreedMemory_isNotTouched) {
    const auto& call = test_driver().call;
    Bytes content = random_bytes(BYTES, 6);
    const nixl_region host_side = pinned(content, 0, BYTES);
    auto memory = std::make_unique<GpuMemory>(BYTES, NIXL_KIND_DEVICE, 0);
    const auto address = memory->address();
    const nixl_region gpu = on_gpu(*memory, BYTES);
    EXPECT_TRUE(moves(host_side, gpu, {single(0, 0, 64)}));
    memory.reset();
    const long before = copies();
    pair = {host_side, gpu};
    const std::vector<nixl_run> runs = {single(0, 0, 64)};
    const nixl_batch in = batch_of(runs);
    EXPECT_EQ(table.move_now(queue, &in), NIXL_AGAIN);
    pair = {gpu, host_side};
    EXPECT_EQ(table.move_now(queue, &in), NIXL_AGAIN);
    EXPECT_EQ(copies(), before);
    // The next owner of the addresses is another: its bytes stay its own.
    const GpuMemory next(BYTES, NIXL_KIND_DEVICE, 0);
    if (next.address() == address) {
        next.write(0, Bytes(64, 1));
        pair = {host_side, gpu};
        EXPECT_EQ(table.move_now(queue, &in), NIXL_AGAIN);
        EXPECT_EQ(next.read(0, 64), Bytes(64, 1));
        EXPECT_TRUE(moves(host_side, on_gpu(next, BYTES), {single(0, 0, 64)}));
    }
    uint32_t type = 0;
    auto which = core::cuda::PointerAttribute::MEMORY_TYPE;
    void* out = &type;
    EXPECT_EQ(call.pointer_attributes(1, &which, &out, next.address()), CuResult::SUCCESS);
}

// What a GPU that is lost gives; the copy engine knows.
TEST_F(CudaGdrCopy, ReadThatEndsInOnes_isLeftToTheCopyEngine) {
    const GpuMemory memory(BYTES, NIXL_KIND_DEVICE, 0);
    Bytes back(64);
    const nixl_region gpu = on_gpu(memory, BYTES), target = pinned(back, 0, 64);
    Bytes content = random_bytes(64, 7);
    std::fill(content.end() - 16, content.end(), static_cast<unsigned char>(0xff));
    memory.write(0, content);
    pair = {gpu, target};
    const std::vector<nixl_run> runs = {single(0, 0, 64)};
    const nixl_batch batch = batch_of(runs);
    EXPECT_EQ(table.move_now(queue, &batch), NIXL_AGAIN);
    EXPECT_EQ(copy(gpu, target, 64), NIXL_OK);
    EXPECT_EQ(back, content);
}

// Proves: S-016
TEST_F(CudaGdrCopy, MemoryThatCannotBePinned_goesByTheCopyEngine) {
    if (test_gpus().simulated == 0)
        GTEST_SKIP() << "a machine's pins do not fail on demand";
    const GpuMemory memory(BYTES, NIXL_KIND_DEVICE, 0), second(BYTES, NIXL_KIND_DEVICE, 0);
    const Bytes content = random_bytes(BYTES, 8);
    const nixl_region source = pinned(content, 0, BYTES);
    ASSERT_EQ(simulation<int (*)(const char*)>("nixl_simcuda_faults")("pin@1"), 0);
    const nixl_region without = on_gpu(memory, BYTES), with = on_gpu(second, BYTES);
    EXPECT_TRUE(host.logged("GDRCopy: pinning 1048576 bytes"));
    EXPECT_FALSE(moves(source, without, {single(0, 0, 64)}));
    EXPECT_EQ(copy(source, without, 64), NIXL_OK);
    EXPECT_EQ(memory.read(0, 64), Bytes(content.begin(), content.begin() + 64));
    EXPECT_TRUE(moves(source, with, {single(0, 0, 64)}));
}

// A mapping goes as a whole; of a row of them, a part may go while the rest is asked for.
TEST_F(CudaGdrCopy, SingleMapping_hasAWindowAndARowOfThemHasNone) {
    MappedRow one(0, 1);
    const MappedRow row(0, 2);
    const Bytes content = random_bytes(BYTES, 14);
    const nixl_region source = pinned(content, 0, BYTES);
    nixl_region single_mapping{}, several{};
    ASSERT_EQ(attach(NIXL_KIND_DEVICE, one.address(), MappedRow::PART, 0, &single_mapping),
              NIXL_OK);
    ASSERT_EQ(attach(NIXL_KIND_DEVICE, row.address(), 2 * MappedRow::PART, 0, &several), NIXL_OK);
    EXPECT_TRUE(moves(source, single_mapping, {single(0, 100, 64)}));
    EXPECT_TRUE(std::equal(content.begin(), content.begin() + 64, one.read().begin() + 100));
    EXPECT_FALSE(moves(source, several, {single(0, 0, 64)}));
    one.unmap(0);
    pair = {source, single_mapping};
    const std::vector<nixl_run> runs = {single(0, 100, 64)};
    const nixl_batch batch = batch_of(runs);
    EXPECT_NE(table.move_now(queue, &batch), NIXL_OK) << "it is gone";
}

TEST_F(CudaGdrCopy, PinnedMemory_isLimitedAndComesBack) {
    open({{"cuda.gdrcopy_pin_bytes", "1152KB"}}); // 1 MiB and two pages
    const GpuMemory memory(BYTES, NIXL_KIND_DEVICE, 0), small(1, NIXL_KIND_DEVICE, 0);
    const Bytes content = random_bytes(BYTES, 9);
    const nixl_region source = pinned(content, 0, BYTES), first = on_gpu(memory, BYTES),
                      again = on_gpu(memory, BYTES), little = on_gpu(small, 1);
    EXPECT_TRUE(moves(source, first, {single(0, 0, 64)}));
    EXPECT_FALSE(moves(source, again, {single(0, 0, 64)})) << "beyond the limit";
    EXPECT_TRUE(moves(source, little, {single(0, 0, 1)})) << "there is room for a small one";
    table.detach(instance, first.registration);
    std::erase(registrations, first.registration);
    EXPECT_TRUE(moves(source, on_gpu(memory, BYTES), {single(0, 0, 64)}));
}

// Proves: S-016 S-031
TEST_F(CudaGdrCopy, SwitchedOff_itIsNotEvenAsked) {
    EXPECT_EQ(probed_flags() & NIXL_CAP_NEVER_NOW, 0u);
    const GpuMemory memory(BYTES, NIXL_KIND_DEVICE, 0);
    const Bytes content = random_bytes(BYTES, 10);
    std::vector<std::vector<std::pair<std::string, std::string>>> ways = {
        {{"enable_gdrcopy", "false"}},
        {{"enable_gdrcopy", "true"},
         {"cuda.gdrcopy_write_bytes", "0"},
         {"cuda.gdrcopy_read_bytes", "0"}}};
    if (test_gpus().simulated != 0) // which stay as they are where nobody asks for it
        ways.push_back({{"enable_gdrcopy", "auto"}});
    for (const auto& settings : ways) {
        open(settings);
        EXPECT_NE(probed_flags() & NIXL_CAP_NEVER_NOW, 0u);
        const nixl_region source = pinned(content, 0, BYTES), gpu = on_gpu(memory, BYTES);
        EXPECT_FALSE(moves(source, gpu, {single(0, 0, 64)}));
        EXPECT_EQ(copy(source, gpu, 64), NIXL_OK);
        EXPECT_EQ(memory.read(0, 64), Bytes(content.begin(), content.begin() + 64));
    }
}

} // namespace
} // namespace nixl::test::host_queues
