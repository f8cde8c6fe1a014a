// SPDX-License-Identifier: Apache-2.0
// Scattered work of the cuda backend: which engine takes it, that every element arrives, and that
// nothing that a GPU must not touch reaches a kernel. Over the simulated driver, or the machine's
// with NIXL_TEST_GPU.
#include <numeric>
#include <random>

#include "tests/unit/backends/cuda_gather_rig.h"

namespace nixl::test::host_queues {
namespace {

constexpr uint64_t BYTES = 1 << 20;

std::vector<uint32_t> shuffled(uint32_t count, uint32_t seed) {
    std::vector<uint32_t> order(count);
    std::iota(order.begin(), order.end(), 0u);
    std::shuffle(order.begin(), order.end(), std::mt19937(seed));
    return order;
}

/// Memory of one kind, with a copy in the host's.
struct Side {
    std::unique_ptr<GpuMemory> gpu;
    Bytes host;
    nixl_region region{};
};

class CudaGatherWays : public CudaGather,
                       public ::testing::WithParamInterface<std::pair<int, int>> {
  protected:
    /// `device`: -1 is page-locked memory of the host.
    void make(Side* side, int device, uint32_t seed) {
        side->host = random_bytes(BYTES, seed);
        if (device < 0) {
            side->region = pinned(side->host, 0, BYTES);
            return;
        }
        side->gpu = std::make_unique<GpuMemory>(BYTES, NIXL_KIND_DEVICE, device);
        side->gpu->write(0, side->host);
        side->region = on_gpu(*side->gpu, BYTES);
    }
    static Bytes content(const Side& side) {
        return side.gpu == nullptr ? side.host : side.gpu->read(0, BYTES);
    }
    void SetUp() override {
        CudaGather::SetUp();
        if (instance == nullptr)
            return;
        make(&source, GetParam().first, 1);
        make(&target, GetParam().second, 2);
        pair = {source.region, target.region};
        expected = target.host;
    }
    void expect_copied(uint64_t from, uint64_t into, uint64_t bytes) {
        std::copy_n(source.host.begin() + static_cast<long>(from), bytes,
                    expected.begin() + static_cast<long>(into));
    }
    static void expect_all(const std::vector<nixl_status>& ended, nixl_status status) {
        EXPECT_EQ(std::count(ended.begin(), ended.end(), status), static_cast<long>(ended.size()));
    }

    Side source, target;
    Bytes expected;
};

INSTANTIATE_TEST_SUITE_P(All, CudaGatherWays,
                         ::testing::Values(std::pair(-1, 0), std::pair(0, -1), std::pair(0, 0),
                                           std::pair(0, 1)),
                         [](const auto& info) {
                             const auto name = [](int device) {
                                 return device < 0 ? std::string("host")
                                                   : "gpu" + std::to_string(device);
                             };
                             return name(info.param.first) + "_to_" + name(info.param.second);
                         });

TEST_P(CudaGatherWays, BlocksOfAnyAlignment_arriveByKernel) {
    std::mt19937 random(3);
    std::vector<nixl_run> runs;
    uint64_t into = 0;
    for (int i = 0; i < 300; ++i) {
        const uint64_t bytes = 1 + random() % 3000;
        const uint64_t from = random() % (BYTES - bytes);
        // A third each: aligned, in step with the source, anyhow.
        into = i % 3 == 0 ? (into + 15) & ~uint64_t{15} : into + random() % 9;
        const uint64_t start = i % 3 == 0   ? from & ~uint64_t{15}
                               : i % 3 == 1 ? (from & ~uint64_t{15}) | (into & 15)
                                            : from;
        if (start + bytes > BYTES)
            continue;
        runs.push_back(single(start, into, bytes));
        expect_copied(start, into, bytes);
        into += bytes;
    }
    const nixl_batch batch = batch_of(runs);
    EXPECT_NE(engine(batch).find("kernel"), std::string::npos) << engine(batch);
    expect_all(moved(batch), NIXL_OK);
    EXPECT_EQ(content(target), expected);
}

TEST_P(CudaGatherWays, LongRunsAndLongElements_arriveByKernel) {
    open({{"cuda.engine", "kernel"}});
    make(&source, GetParam().first, 1); // registered with the backend that was opened anew
    make(&target, GetParam().second, 2);
    pair = {source.region, target.region};
    const std::vector<nixl_run> runs = {strided(0, 0, 48, 96, 64, 3000),
                                        strided(BYTES / 2 + 16, BYTES / 2, 70'000, 0, 0, 1),
                                        strided(5, BYTES - 3000, 1, 3, 1, 3000)};
    for (uint64_t i = 0; i < 3000; ++i) {
        expect_copied(96 * i, 64 * i, 48);
        expect_copied(5 + 3 * i, BYTES - 3000 + i, 1);
    }
    expect_copied(BYTES / 2 + 16, BYTES / 2, 70'000);
    expect_all(moved(batch_of(runs)), NIXL_OK);
    EXPECT_EQ(content(target), expected);
}

// More than one call and one flight take, and runs of neighbours among them.
TEST_P(CudaGatherWays, Batches_takeBlocksAndRunsOfAnyAlignment) {
    open({{"cuda.engine", "batch"}});
    make(&source, GetParam().first, 1); // registered with the backend that was opened anew
    make(&target, GetParam().second, 2);
    pair = {source.region, target.region};
    std::vector<nixl_run> runs = {strided(0, BYTES / 2, 100, 100, 100, 500)};
    expect_copied(0, BYTES / 2, 50'000);
    for (uint64_t i = 0; i < 700; ++i) {
        runs.push_back(single(i * 300 + i % 7, i * 400, 1 + i % 300));
        expect_copied(i * 300 + i % 7, i * 400, 1 + i % 300);
    }
    const nixl_batch batch = batch_of(runs);
    EXPECT_EQ(engine(batch), has_batches() ? "copy engine (batches)" : "copy engine");
    expect_all(moved(batch), NIXL_OK);
    EXPECT_EQ(content(target), expected);
}

TEST_P(CudaGatherWays, PreparedLists_areWalkedWholeAndByIndex) {
    constexpr uint32_t COUNT = 5000;
    constexpr uint64_t BLOCK = 80;
    const int reader = target.gpu != nullptr ? target.gpu->device() : source.gpu->device();
    for (const bool in_order : {true, false}) {
        std::vector<nixl_block> from, into;
        const auto source_order = shuffled(COUNT, 4), target_order = shuffled(COUNT, 5);
        for (uint32_t i = 0; i < COUNT; ++i) {
            from.push_back({(in_order ? i : source_order[i]) * BLOCK, BLOCK, 0, 1, 0, 0});
            into.push_back({(in_order ? i : target_order[i]) * BLOCK, BLOCK, 0, 1, 0, 0});
        }
        void *const first = prepare(source.region, from, reader), *const second = prepare(
                                                                      target.region, into, reader);
        for (const bool by_index : {false, true}) {
            const auto source_picks = shuffled(COUNT, 6), target_picks = shuffled(COUNT, 7);
            nixl_batch batch = batch_of({});
            batch.runs = nullptr;
            batch.element_count = COUNT;
            batch.prepared_source = first;
            batch.prepared_target = second;
            batch.source_indices = by_index ? source_picks.data() : nullptr;
            batch.target_indices = by_index ? target_picks.data() : nullptr;
            for (uint32_t i = 0; i < COUNT; ++i)
                expect_copied(from[by_index ? source_picks[i] : i].offset,
                              into[by_index ? target_picks[i] : i].offset, BLOCK);
            EXPECT_NE(engine(batch).find("kernel"), std::string::npos);
            expect_all(moved(batch), NIXL_OK);
            EXPECT_EQ(content(target), expected)
                << "in order " << in_order << " by index " << by_index;
        }
        table.unprepare(instance, first);
        table.unprepare(instance, second);
    }
}

// More than the tables and flights of a line hold at a time.
TEST_P(CudaGatherWays, ListsOfAnyLength_goInAsRoomComes) {
    constexpr uint64_t COUNT = 120'000;
    std::vector<nixl_run> runs;
    for (uint64_t i = 0; i < COUNT; ++i)
        runs.push_back(single((COUNT - 1 - i) * 8, i * 8, 8));
    for (uint64_t i = 0; i < COUNT; ++i)
        expect_copied((COUNT - 1 - i) * 8, i * 8, 8);
    expect_all(moved(batch_of(runs)), NIXL_OK);
    EXPECT_EQ(content(target), expected);
}

TEST_F(CudaGather, EnginePolicy_isKept) {
    const GpuMemory memory(BYTES, NIXL_KIND_DEVICE, 0);
    std::vector<nixl_run> many;
    for (uint64_t i = 0; i < 1000; ++i)
        many.push_back(single(i * 1024, i * 1024 + 512, 256));
    const std::vector<nixl_run> one = {single(0, BYTES / 2, 4096)};
    const std::vector<nixl_run> neighbours = {strided(0, BYTES / 2, 512, 512, 512, 1000)};
    const auto engines = [&](const char* policy) {
        open({{"cuda.engine", policy}});
        pair = {on_gpu(memory, BYTES), on_gpu(memory, BYTES)};
        return std::vector<bool>{engine(batch_of(many)) == "copy engine",
                                 engine(batch_of(one)) == "copy engine",
                                 engine(batch_of(neighbours)) == "copy engine"};
    };
    EXPECT_EQ(engines("auto"), (std::vector<bool>{false, true, true}));
    EXPECT_EQ(engines("copy"), (std::vector<bool>{true, true, true}));
    EXPECT_EQ(engines("kernel"), (std::vector<bool>{false, false, false}));
    EXPECT_EQ(engines("batch"), (std::vector<bool>{!has_batches(), true, !has_batches()}));
}

// A kernel that touches freed memory ends the context of its GPU, and with it the program's work.
TEST_F(CudaGather, FreedMemory_isRefusedBeforeAKernelSeesIt) {
    const GpuMemory keeps(BYTES, NIXL_KIND_DEVICE, 0);
    auto freed = std::make_unique<GpuMemory>(BYTES, NIXL_KIND_DEVICE, 0);
    pair = {on_gpu(*freed, BYTES), on_gpu(keeps, BYTES)};
    freed.reset();
    std::vector<nixl_run> listed;
    for (uint64_t i = 0; i < 100; ++i)
        listed.push_back(single(i * 1024, i * 1024, 256));
    for (const auto& runs : {listed, {strided(0, 0, 16, 32, 32, 5000)}})
        for (const nixl_status status : moved(batch_of(runs)))
            ASSERT_EQ(status, NIXL_INVALID_ARGUMENT);
    const Bytes content = random_bytes(BYTES, 8);
    pair = {pinned(content, 0, BYTES), on_gpu(keeps, BYTES)};
    for (const nixl_status status : moved(batch_of(listed)))
        ASSERT_EQ(status, NIXL_OK) << "the GPU is lost";
}

TEST_F(CudaGather, FreedMemoryUnderPreparedLists_isRefusedAtEitherEnd) {
    constexpr uint32_t COUNT = 500;
    const GpuMemory keeps(BYTES, NIXL_KIND_DEVICE, 0);
    std::vector<nixl_block> blocks; // in no progression
    for (const uint32_t place : shuffled(COUNT, 11))
        blocks.push_back({place * 1024u, 256, 0, 1, 0, 0});
    const auto picks = shuffled(COUNT, 12);
    for (const bool is_source : {true, false}) {
        auto freed = std::make_unique<GpuMemory>(BYTES, NIXL_KIND_DEVICE, 0);
        void *const gone = prepare(on_gpu(*freed, BYTES), blocks, 0), *const there = prepare(
                                                                          on_gpu(keeps, BYTES),
                                                                          blocks, 0);
        freed.reset();
        for (const bool by_index : {false, true}) {
            nixl_batch batch = batch_of({});
            batch.runs = nullptr;
            batch.element_count = COUNT;
            batch.prepared_source = is_source ? gone : there;
            batch.prepared_target = is_source ? there : gone;
            batch.source_indices = batch.target_indices = by_index ? picks.data() : nullptr;
            for (const nixl_status status : moved(batch))
                ASSERT_EQ(status, NIXL_INVALID_ARGUMENT) << is_source << by_index;
        }
        table.unprepare(instance, gone);
        table.unprepare(instance, there);
    }
    const Bytes content = random_bytes(BYTES, 13);
    ASSERT_EQ(copy(pinned(content, 0, BYTES), on_gpu(keeps, BYTES), BYTES), NIXL_OK)
        << "the GPU is lost";
}

// The real driver would take the freed address for the host's, and crash.
TEST_F(CudaGather, BatchWithAnElementThatCannotBeCopied_failsAndOthersGoOn) {
    open({{"cuda.engine", "batch"}});
    const GpuMemory from(BYTES, NIXL_KIND_DEVICE, 0);
    auto freed = std::make_unique<GpuMemory>(BYTES, NIXL_KIND_DEVICE, 0);
    const GpuMemory into(BYTES, NIXL_KIND_DEVICE, 0);
    const Bytes content = random_bytes(BYTES, 10);
    from.write(0, content);
    const nixl_region_pair pairs[] = {{on_gpu(from, BYTES), on_gpu(into, BYTES)},
                                      {on_gpu(*freed, BYTES), on_gpu(into, BYTES)}};
    freed.reset();
    std::vector<nixl_run> runs;
    for (uint64_t i = 0; i < 400; ++i)
        runs.push_back(single(i * 1024, i * 1024, 256));
    runs[300].pair = 1;
    nixl_batch batch = batch_of(runs);
    batch.pairs = pairs;
    batch.pair_count = 2;
    const std::vector<nixl_status> ended = moved(batch);
    EXPECT_EQ(ended[300], NIXL_INVALID_ARGUMENT);
    for (uint64_t i = 0; i < ended.size(); ++i)
        if (i != 300) {
            ASSERT_EQ(ended[i], NIXL_OK) << i;
            ASSERT_EQ(into.read(i * 1024, 256),
                      Bytes(content.begin() + static_cast<long>(i * 1024),
                            content.begin() + static_cast<long>(i * 1024 + 256)))
                << i;
        }
}

// Blocks that no table holds.
TEST_F(CudaGather, LongBlocksOfLists_areCopied) {
    constexpr uint64_t LONG = 5 << 20, COUNT = 40;
    const GpuMemory from(LONG + COUNT * 1024, NIXL_KIND_DEVICE, 0),
        into(LONG + COUNT * 1024, NIXL_KIND_DEVICE, 0);
    const Bytes content = random_bytes(LONG + COUNT * 1024, 9);
    from.write(0, content);
    for (const char* const policy : {"auto", "batch", "kernel"}) {
        open({{"cuda.engine", policy}});
        into.write(0, Bytes(content.size()));
        const nixl_region source = on_gpu(from, content.size()),
                          target = on_gpu(into, content.size());
        std::vector<nixl_block> blocks;
        for (uint64_t i = 0; i < COUNT; ++i)
            blocks.push_back({i * 1024, 512, 0, 1, 0, 0});
        blocks.push_back({COUNT * 1024, LONG, 0, 1, 0, 0});
        void *const first = prepare(source, blocks, 0), *const second = prepare(target, blocks, 0);
        nixl_batch batch = batch_of({});
        batch.runs = nullptr;
        batch.element_count = blocks.size();
        batch.prepared_source = first;
        batch.prepared_target = second;
        for (const nixl_status status : moved(batch))
            ASSERT_EQ(status, NIXL_OK);
        EXPECT_EQ(into.read(COUNT * 1024, LONG),
                  Bytes(content.begin() + COUNT * 1024, content.end()));
        EXPECT_EQ(into.read(1024, 512), Bytes(content.begin() + 1024, content.begin() + 1536));
        table.unprepare(instance, first);
        table.unprepare(instance, second);
    }
}

// An offer that waits for a table leaves nothing on the stream, however often it is made.
TEST_F(CudaGather, RefusedOffers_doNotFillTheStream) {
    constexpr uint64_t COUNT = 120'000;
    const GpuMemory first(COUNT * 8, NIXL_KIND_DEVICE, 0), second(COUNT * 8, NIXL_KIND_DEVICE, 0);
    pair = {on_gpu(first, COUNT * 8), on_gpu(second, COUNT * 8)};
    Context context = nullptr;
    ASSERT_EQ(test_driver().call.context_retain(&context, 0), CuResult::SUCCESS);
    {
        Gate gate(context);
        std::vector<nixl_run> runs;
        for (uint64_t i = 0; i < COUNT; ++i)
            runs.push_back(single((COUNT - 1 - i) * 8, i * 8, 8));
        nixl_batch batch = batch_of(runs);
        batch.stream = gate.stream();
        advance(&batch, table.submit(queue, &batch));
        ASSERT_NE(batch.element_count, 0u);
        for (int offer = 0; offer < 5000; ++offer) // a full stream would block the call for ever
            ASSERT_EQ(table.submit(queue, &batch), 0u);
        gate.open();
        uint64_t left = COUNT - batch.element_count;
        for (nixl_completion entry{}; left != 0;)
            if (table.poll(queue, &entry, 1) == 1)
                left -= entry.element_count;
        for (batch.stream = nullptr; batch.element_count != 0;) {
            const uint64_t accepted = table.submit(queue, &batch);
            advance(&batch, accepted);
            for (left = accepted; left != 0;)
                if (nixl_completion entry{}; table.poll(queue, &entry, 1) == 1)
                    left -= entry.element_count;
        }
    }
    (void)test_driver().call.context_release(0);
}

TEST_F(CudaGather, KernelsJoinTheCallersStream) {
    const GpuMemory first(BYTES, NIXL_KIND_DEVICE, 0), second(BYTES, NIXL_KIND_DEVICE, 0);
    pair = {on_gpu(first, BYTES), on_gpu(second, BYTES)};
    Context context = nullptr;
    ASSERT_EQ(test_driver().call.context_retain(&context, 0), CuResult::SUCCESS);
    {
        const CudaScope scope(test_driver(), context);
        Gate gate(context);
        ASSERT_EQ(test_driver().call.fill(first.address(), 9, BYTES, gate.stream()),
                  CuResult::SUCCESS);
        const std::vector<nixl_run> runs = {strided(0, 0, 64, 128, 128, 5000)};
        nixl_batch batch = batch_of(runs);
        batch.stream = gate.stream();
        ASSERT_EQ(table.submit(queue, &batch), 5000u);
        nixl_completion entry{};
        for (int look = 0; look < 100; ++look)
            EXPECT_EQ(table.poll(queue, &entry, 1), 0u) << "it did not wait for the stream";
        gate.open();
        EXPECT_EQ(finished(), NIXL_OK);
    }
    EXPECT_EQ(second.read(0, 64), Bytes(64, 9));
    (void)test_driver().call.context_release(0);
}

} // namespace
} // namespace nixl::test::host_queues
