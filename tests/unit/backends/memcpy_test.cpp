// SPDX-License-Identifier: Apache-2.0
// Copies of host memory: what moves, in which pieces, and that nothing beside it does.
#include <algorithm>
#include <numeric>

#include <gtest/gtest.h>

#include "backends/builtin.h"
#include "backends/memcpy/copy.h"
#include "backends/memcpy/span.h"
#include "tests/unit/backends/queue_rig.h"

namespace nixl::test::host_queues {
namespace {

constexpr uint64_t KIB = 1024, MIB = 1024 * KIB;

/// Settings that make every path reachable with small buffers.
FakeHost& small_steps(FakeHost& host) {
    return host.set("inline_copy_bytes", "4096")
        .set("memcpy.waited_inline_bytes", "16384")
        .set("memcpy.slice_bytes", "4096")
        .set("memcpy.share_bytes", "4096")
        .set("memcpy.stream_bytes", "65536");
}

void expect_copied(std::vector<nixl_run> runs, uint64_t bytes, uint32_t workers, uint32_t flags,
                   bool assists) {
    const Bytes source = random_bytes(bytes, 11);
    Bytes target(bytes, 0xee), expected = target;
    copy_as_told(runs, source, &expected);
    FakeHost host(workers);
    small_steps(host);
    QueueRig rig(host, load(nixl_backend_entry_memcpy, host));
    Transfer transfer(const_cast<unsigned char*>(source.data()), target.data(), std::move(runs), 5);

    ASSERT_TRUE(rig.finish(transfer, flags, assists));

    EXPECT_EQ(transfer.with_status(NIXL_OK), transfer.count());
    EXPECT_EQ(transfer.short_elements, 0u);
    EXPECT_EQ(transfer.bytes,
              std::accumulate(transfer.bytes_of.begin(), transfer.bytes_of.end(), uint64_t{0}));
    EXPECT_TRUE(target == expected);
}

std::vector<nixl_run> shuffled(uint64_t count, uint64_t bytes, uint64_t spacing) {
    std::vector<uint64_t> places(count);
    std::iota(places.begin(), places.end(), 0);
    std::vector<nixl_run> runs;
    std::shuffle(places.begin(), places.end(), std::mt19937(3));
    for (uint64_t i = 0; i < count; ++i)
        runs.push_back(single(places[i] * spacing + i % 3, i * spacing + i % 5, bytes));
    return runs;
}

TEST(MemcpyBackend, EverySize_isExactWithWorkersAndWithout) {
    for (const uint64_t bytes : {1ul, 63ul, 64ul, 65ul, 4095ul, 4096ul, 4097ul, 6143ul, 6144ul,
                                 16385ul, 65536ul, 65537ul, 300001ul})
        for (const uint32_t workers : {0u, 1u, 3u})
            for (const uint64_t skew : {0ul, 1ul, 13ul})
                expect_copied({single(skew, 2 * skew, bytes)}, bytes + 64, workers, 0, false);
}

TEST(MemcpyBackend, StridedRuns_leaveTheGapsAlone) {
    for (const uint32_t workers : {0u, 2u}) {
        expect_copied({strided(0, 0, 100, 200, 300, 300)}, 100000, workers, 0, false);
        expect_copied({strided(99000, 0, 1000, -1000, 1000, 100)}, 100000, workers, 0, false);
        expect_copied({strided(0, 10, 700, 700, 700, 140)}, 100000, workers, 0, false);
        expect_copied({strided(5, 0, 9000, 10000, 9001, 10), single(0, 99990, 10)}, 100005, workers,
                      0, false);
    }
}

TEST(MemcpyBackend, ScatteredElements_arriveWhereTheyShould) {
    for (const uint32_t workers : {0u, 2u})
        for (const uint64_t bytes : {7ul, 64ul, 500ul, 513ul, 5000ul})
            expect_copied(shuffled(600, bytes, bytes + 8), 600 * (bytes + 8), workers, 0, false);
}

TEST(MemcpyBackend, WaitedBatches_areHelpedByTheWaiter) {
    for (const uint32_t workers : {1u, 2u}) {
        expect_copied({single(1, 3, 400000)}, 400010, workers, NIXL_BATCH_WAITED, true);
        expect_copied(shuffled(300, 1000, 1008), 302400, workers, NIXL_BATCH_WAITED, true);
    }
}

TEST(MemcpyBackend, WorkersAway_theWaiterDoesItAlone) {
    FakeHost host(2);
    small_steps(host).hold_workers();
    const Bytes source = random_bytes(MIB, 1);
    Bytes target(MIB);
    {
        QueueRig rig(host, load(nixl_backend_entry_memcpy, host));
        Transfer transfer(const_cast<unsigned char*>(source.data()), target.data(),
                          {single(0, 0, MIB)}, 9);
        EXPECT_TRUE(rig.finish(transfer, NIXL_BATCH_WAITED, true));
        EXPECT_EQ(transfer.entries, 1u) << "one completion for the span";
        EXPECT_FALSE(rig.assist()) << "nothing is left";
        host.release_workers();
    }
    EXPECT_TRUE(target == source);
}

TEST(MemcpyBackend, OverlapInOneElement_isMemmove) {
    for (const uint64_t shift : {1ul, 100ul, 5000ul})
        for (const bool forward : {true, false})
            for (const uint64_t bytes : {50ul, 4000ul, 100000ul}) {
                Bytes memory = random_bytes(bytes + shift, 21);
                Bytes expected = memory;
                const uint64_t from = forward ? 0 : shift, to = forward ? shift : 0;
                std::memmove(expected.data() + to, expected.data() + from, bytes);
                FakeHost host(2);
                small_steps(host);
                QueueRig rig(host, load(nixl_backend_entry_memcpy, host));
                Transfer transfer(memory.data(), memory.data(), {single(from, to, bytes)}, 1);

                ASSERT_TRUE(rig.finish(transfer, 0, true));

                EXPECT_TRUE(memory == expected) << bytes << " bytes by " << shift;
            }
}

TEST(MemcpyBackend, SmallCopy_isDoneWhenSubmitReturns) {
    FakeHost host(2);
    QueueRig rig(host, load(nixl_backend_entry_memcpy, host));
    const Bytes source = random_bytes(64, 2);
    Bytes target(64);
    Transfer transfer(const_cast<unsigned char*>(source.data()), target.data(), {single(0, 0, 64)},
                      1);

    EXPECT_EQ(rig.submit(transfer), 1u);

    EXPECT_TRUE(target == source);
    EXPECT_EQ(rig.poll(), 1u);
    EXPECT_EQ(host.works_run(), 0u);
}

TEST(MemcpyBackend, MoveNow_copiesOneShortElementAndLeavesTheOthersToSubmit) {
    FakeHost host(1);
    QueueRig rig(small_steps(host), load(nixl_backend_entry_memcpy, host));
    Bytes source = random_bytes(16 * KIB, 4), target(16 * KIB);
    const auto moved = [&](std::vector<nixl_run> runs, uint64_t skipped = 0) {
        Transfer transfer(source.data(), target.data(), std::move(runs), 1);
        transfer.submitted = skipped;
        const nixl_batch batch = transfer.rest();
        return rig.table().move_now(rig.queue(), &batch);
    };

    EXPECT_EQ(moved({single(0, 0, 4097)}), NIXL_AGAIN);
    EXPECT_EQ(moved({single(0, 0, 10), single(10, 10, 10)}), NIXL_AGAIN);
    EXPECT_TRUE(target == Bytes(16 * KIB)) << "what is refused is not touched";

    EXPECT_EQ(moved({single(5, 9, 4096)}), NIXL_OK);
    EXPECT_EQ(moved({strided(8 * KIB, 8 * KIB, 100, 200, 300, 3)}, 2), NIXL_OK);
    EXPECT_TRUE(std::equal(&source[5], &source[5 + 4096], &target[9]));
    EXPECT_TRUE(std::equal(&source[8 * KIB + 400], &source[8 * KIB + 500], &target[8 * KIB + 600]));
    EXPECT_EQ(std::count(&target[8 * KIB], &target[8 * KIB + 600], 0), 600);
    EXPECT_EQ(rig.poll(), 0u) << "nothing is reported later";
    EXPECT_TRUE(rig.arm());
}

TEST(MemcpyBackend, InlineLimit_isTheLastSizeThatWakesNobody) {
    FakeHost host(1);
    small_steps(host).hold_workers();
    Bytes source(8 * KIB), target(8 * KIB);
    QueueRig rig(host, load(nixl_backend_entry_memcpy, host));
    Transfer at(source.data(), target.data(), {single(0, 0, 2048), single(0, 4096, 2048)}, 1);
    Transfer above(source.data(), target.data(), {single(0, 0, 2048), single(0, 4096, 2049)}, 2);

    rig.submit(at);
    rig.submit(above);

    rig.poll();
    EXPECT_EQ(at.ended, 2u);
    EXPECT_EQ(above.ended, 0u);
    host.release_workers();
    EXPECT_TRUE(rig.finish(above));
}

TEST(MemcpyBackend, StreamingKernels_copyEveryLengthAndAlignment) {
    const core::StreamFunction stream = core::choose_stream_function();
    if (stream == nullptr)
        GTEST_SKIP() << "this processor has no streaming stores of ours";
    const Bytes source = random_bytes(4096, 4);
    for (uint64_t length = 0; length < 700; ++length)
        for (const uint64_t skew : {0ul, 1ul, 31ul}) {
            Bytes target(1024, 0), expected(1024, 0);
            std::copy_n(source.begin() + 3, length, expected.begin() + static_cast<long>(skew));
            stream(target.data() + skew, source.data() + 3, length);
            core::stream_fence();
            ASSERT_TRUE(target == expected) << length << " bytes at " << skew;
        }
}

TEST(MemcpyBackend, Capabilities_areHostPairsWithPlausibleRates) {
    for (const uint32_t workers : {0u, 2u, 5u}) {
        FakeHost host(workers);
        const nixl_backend_v1 table = load(nixl_backend_entry_memcpy, host);
        nixl_caps caps{};
        caps.struct_size = sizeof caps;
        ASSERT_EQ(table.probe(table.self, host.table(), &caps, nullptr), NIXL_OK);
        EXPECT_EQ(caps.pair_count, 4u);
        EXPECT_EQ(caps.flags, NIXL_CAP_SELF_DRIVEN | NIXL_CAP_CANCEL_FENCES);
        EXPECT_DOUBLE_EQ(caps.pairs[0].bytes_per_ns, workers == 0   ? 10.0
                                                     : workers == 2 ? 15.0
                                                                    : 23.0);
    }
}

// A thread that always copies the same part of a buffer finds it in its own cache.
TEST(CopySpan, LongElement_isTakenFromTheFrontByTheDriverAndBehindItByWorkers) {
    constexpr uint64_t BYTES = 100'000, FRONT_BYTES = 40'960;
    constexpr core::SliceLimits LIMITS{4096, 16384};
    Bytes source(BYTES), target(BYTES);
    Transfer transfer(source.data(), target.data(), {single(0, 0, BYTES)}, 1);
    for (const core::Taker first : {core::Taker::DRIVER, core::Taker::WORKER}) {
        core::Span span;
        span.cursor = sdk::OpCursor(transfer.rest());
        span.bytes = BYTES;
        span.sharers = 2;
        span.front_bytes = FRONT_BYTES;
        std::vector<int> taken(BYTES);
        for (core::Taker taker = first; !span.cursor.done();) {
            const core::Slice slice = core::take_slice(&span, LIMITS, taker);
            for (uint64_t i = 0; i < slice.bytes; ++i)
                ++taken[slice.part_offset + i];
            if (span.taken_bytes == slice.bytes) {
                EXPECT_EQ(slice.part_offset, taker == core::Taker::DRIVER ? 0 : FRONT_BYTES);
            }
        }
        EXPECT_EQ(taken, std::vector<int>(BYTES, 1)) << "each byte once, also the other's part";
    }
}

} // namespace
} // namespace nixl::test::host_queues
