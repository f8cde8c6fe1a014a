// SPDX-License-Identifier: Apache-2.0
// The bytes that the posix backend moves are the right ones, whatever the shape of the work.
#include "posix_rig.h"

#include <algorithm>

namespace nixl::test {
namespace {

constexpr uint64_t KIB = 1024, MIB = 1024 * KIB;

class PosixContent : public PosixEngines {};
INSTANTIATE_TEST_SUITE_P(Engines, PosixContent, ::testing::Values("io_uring", "threads"),
                         engine_name);

// Proves: S-105
TEST_P(PosixContent, OneElementEachWay_arrivesWhole) {
    const Bytes content = random_bytes(100'003, 1);
    ScratchFile file;
    PosixRig rig(GetParam());
    Bytes source = content, target(content.size());
    const auto from = rig.memory(source), to = rig.memory(target), disk = rig.file(file.path());

    const auto& written = rig.run(from->region(), disk->region(), {run_of(0, 0, content.size())});
    const auto& read = rig.run(disk->region(), to->region(), {run_of(0, 0, content.size())});

    EXPECT_EQ(written.elements[0].bytes, content.size());
    EXPECT_EQ(read.elements[0].bytes, content.size());
    EXPECT_EQ(file.read(content.size() + 1), content);
    EXPECT_EQ(target, content);
}

TEST_P(PosixContent, RegionThatStartsInsideTheFile_shiftsEveryOffset) {
    ScratchFile file(random_bytes(64 * KIB, 2));
    PosixRig rig(GetParam());
    Bytes target(1000);
    const auto to = rig.memory(target), disk = rig.file(file.path(), O_RDWR, 0, 12'345);

    rig.run(disk->region(), to->region(), {run_of(100, 0, 1000)});

    EXPECT_EQ(target, file.read(1000, 12'445));
}

TEST_P(PosixContent, OffsetsBeyond4GiB_reachTheirPlace) {
    ScratchFile file;
    const uint64_t far = (5ull << 30) + 777;
    file.resize(far + MIB);
    PosixRig rig(GetParam());
    Bytes source = random_bytes(5000, 3), target(5000);
    const auto from = rig.memory(source), to = rig.memory(target), disk = rig.file(file.path());

    rig.run(from->region(), disk->region(), {run_of(0, far, 5000)});
    rig.run(disk->region(), to->region(), {run_of(far, 0, 5000)});

    EXPECT_EQ(file.read(5000, far), source);
    EXPECT_EQ(target, source);
}

TEST_P(PosixContent, StridedRunsWithNegativeStride_landInTheirSlots) {
    constexpr uint64_t COUNT = 500, BLOCK = 700;
    ScratchFile file(random_bytes(COUNT * BLOCK * 2, 4));
    PosixRig rig(GetParam(), 8);
    Bytes target(COUNT * BLOCK);
    const auto to = rig.memory(target), disk = rig.file(file.path());

    // Every second block of the file, the last one first.
    rig.run(disk->region(), to->region(),
            {run_of((COUNT - 1) * BLOCK * 2, 0, BLOCK, COUNT, -int64_t{BLOCK * 2}, BLOCK)});

    for (uint64_t i = 0; i < COUNT; ++i)
        ASSERT_EQ(Bytes(target.begin() + static_cast<long>(i * BLOCK),
                        target.begin() + static_cast<long>((i + 1) * BLOCK)),
                  file.read(BLOCK, (COUNT - 1 - i) * BLOCK * 2))
            << "block " << i;
}

// Neighbours in the file with memory that is contiguous, scattered, or first one and then the
// other.
TEST_P(PosixContent, NeighboursInTheFile_areJoinedAndStillExact) {
    constexpr uint64_t COUNT = 300, BLOCK = 1500;
    ScratchFile file(random_bytes(COUNT * BLOCK, 5));
    for (const uint32_t flags : {0u, uint32_t{NIXL_REGION_DIRECT}}) {
        PosixRig rig(GetParam(), 4);
        Bytes target(COUNT * BLOCK * 3);
        std::vector<nixl_run> runs;
        std::vector<uint64_t> places;
        for (uint64_t i = 0; i < COUNT; ++i) {
            // Groups of ten: two of five are scattered, the others contiguous.
            const uint64_t place = i % 50 < 20 ? i * BLOCK * 3 : (i / 10 * 30 + i % 10) * BLOCK;
            places.push_back(place);
            runs.push_back(run_of(i * BLOCK, place, BLOCK));
        }
        const auto to = rig.memory(target), disk = rig.file(file.path(), O_RDWR, flags);

        const auto& work = rig.run(disk->region(), to->region(), runs);

        EXPECT_EQ(work.count(NIXL_OK), COUNT);
        EXPECT_LT(rig.entries_seen, COUNT / 4) << "neighbours were not joined";
        for (uint64_t i = 0; i < COUNT; ++i) {
            const Bytes got(target.begin() + static_cast<long>(places[i]),
                            target.begin() + static_cast<long>(places[i] + BLOCK));
            ASSERT_EQ(got, file.read(BLOCK, i * BLOCK)) << "block " << i;
        }
    }
}

// Odd pieces tile the file without a gap and are written in a random order, so that neighbours
// share sectors and pages. Some are aligned and go direct, the others do not.
TEST_P(PosixContent, DirectRegionWithUnalignedNeighbours_losesNoByte) {
    constexpr uint64_t BYTES = 2 * MIB;
    for (const uint32_t seed : {11u, 12u, 13u, 14u}) {
        SCOPED_TRACE(seed);
        std::mt19937 random(seed);
        ScratchFile file(random_bytes(BYTES, seed));
        PosixRig rig(GetParam(), 32, {{"posix.merge_bytes", seed % 2 != 0 ? "0" : "64K"}});
        const Bytes content = random_bytes(BYTES, seed + 100);
        Bytes memory = content;
        std::vector<nixl_run> runs;
        for (uint64_t at = 0; at < BYTES;) {
            uint64_t bytes = random() % 3 == 0 ? 1 + random() % 3000 : 512 - at % 512;
            bytes = std::min({bytes + (at % 512 == 0 ? random() % 9 * 512 : 0), BYTES - at});
            runs.push_back(run_of(at, at, bytes));
            at += bytes;
        }
        std::shuffle(runs.begin(), runs.end(), random);
        const auto from = rig.memory(memory);
        const auto disk = rig.file(file.path(), O_RDWR, NIXL_REGION_DIRECT);

        const auto& written = rig.run(from->region(), disk->region(), runs);
        EXPECT_EQ(written.count(NIXL_OK), runs.size());
        EXPECT_EQ(rig.table.flush(rig.instance, disk->registration, nullptr), NIXL_OK);
        EXPECT_TRUE(file.read(BYTES) == content) << "written bytes differ";

        std::fill(memory.begin(), memory.end(), 0);
        rig.run(disk->region(), from->region(), runs);
        EXPECT_TRUE(memory == content) << "bytes read differ";
    }
}

// The hazard is the file's, not the handle's: one handle writes aligned blocks directly while
// another writes their neighbours through the page cache.
TEST_P(PosixContent, DirectAndCachedHandlesOfOneFile_loseNoByte) {
    constexpr uint64_t BYTES = 1 * MIB;
    for (const uint32_t second_flags : {0u, uint32_t{NIXL_REGION_DIRECT}}) {
        for (uint32_t seed = 1; seed <= 12; ++seed) {
            SCOPED_TRACE(seed);
            std::mt19937 random(seed);
            ScratchFile file(random_bytes(BYTES, seed));
            PosixRig rig(GetParam(), 32, {{"posix.merge_bytes", "0"}});
            Bytes memory = random_bytes(BYTES, seed + 100);
            std::vector<nixl_run> aligned, unaligned;
            for (uint64_t at = 0; at < BYTES; at += 1024) { // each other sector
                aligned.push_back(run_of(at, at, 512));
                const uint64_t middle = 1 + random() % 511;
                unaligned.push_back(run_of(at + 512, at + 512, middle));
                unaligned.push_back(run_of(at + 512 + middle, at + 512 + middle, 512 - middle));
            }
            std::shuffle(aligned.begin(), aligned.end(), random);
            std::shuffle(unaligned.begin(), unaligned.end(), random);
            const auto from = rig.memory(memory);
            const auto direct = rig.file(file.path(), O_RDWR, NIXL_REGION_DIRECT);
            const auto other = rig.file(file.path(), O_RDWR, second_flags);

            const uint64_t first = rig.submit(from->region(), direct->region(), aligned);
            const uint64_t second = rig.submit(from->region(), other->region(), unaligned);
            ASSERT_TRUE(rig.finish(first));
            ASSERT_TRUE(rig.finish(second));

            EXPECT_EQ(rig.table.flush(rig.instance, direct->registration, nullptr), NIXL_OK);
            ASSERT_TRUE(file.read(BYTES) == memory) << "written bytes differ";
        }
    }
}

// One queue's unaligned write waits for the other queue's direct ones: it sleeps meanwhile, and is
// woken.
TEST_P(PosixContent, WriteThatWaitsForAnotherQueue_sleepsAndIsWoken) {
    constexpr uint64_t COUNT = 64, BLOCK = 4 * KIB;
    ScratchFile file(random_bytes(COUNT * BLOCK, 15));
    PosixRig rig(GetParam(), COUNT, {{"posix.merge_bytes", "0"}});
    Bytes memory = random_bytes(COUNT * BLOCK, 16);
    const auto from = rig.memory(memory);
    const auto disk = rig.file(file.path(), O_RDWR, NIXL_REGION_DIRECT);
    if (rig.host.logged("goes through the page cache"))
        GTEST_SKIP() << "no direct I/O here";
    void* second = nullptr;
    int second_host_queue = 0;
    ASSERT_EQ(rig.table.queue_open(rig.instance, 0, &second_host_queue, &second, nullptr), NIXL_OK);

    const uint64_t tag =
        rig.submit(from->region(), disk->region(), {run_of(0, 0, BLOCK, COUNT, BLOCK, BLOCK)});
    const nixl_run unaligned = run_of(100, 100, 50);
    const nixl_region_pair pair = {from->region(), disk->region()};
    nixl_batch batch = {};
    batch.struct_size = sizeof batch;
    batch.pair_count = 1;
    batch.pairs = &pair;
    batch.runs = &unaligned;
    batch.run_count = 1;
    batch.element_count = 1;
    batch.tag = 1;
    ASSERT_EQ(rig.table.submit(second, &batch), 1u);
    nixl_completion done = {};
    ASSERT_EQ(rig.table.poll(second, &done, 1), 0u);
    EXPECT_EQ(rig.table.arm(second), 1) << "there is nothing to poll for";
    EXPECT_EQ(rig.host.wakes(&second_host_queue), 0u);
    ASSERT_TRUE(rig.finish(tag));
    EXPECT_TRUE(rig.host.wait_for_wakes(&second_host_queue, 1, PATIENCE));

    while (rig.table.poll(second, &done, 1) == 0) {}
    EXPECT_EQ(done.status, NIXL_OK);
    rig.table.queue_close(second);
    EXPECT_TRUE(file.read(COUNT * BLOCK) == memory);
}

TEST_P(PosixContent, DirectRegionWithUnalignedMemory_movesTheSameBytes) {
    ScratchFile file(random_bytes(256 * KIB, 6));
    PosixRig rig(GetParam());
    Bytes target(128 * KIB + 64);
    const auto to = rig.memory(target);
    const auto disk = rig.file(file.path(), O_RDWR, NIXL_REGION_DIRECT);
    for (const uint64_t shift : {0, 1, 3, 8, 63}) {
        rig.run(disk->region(), to->region(), {run_of(4096, shift, 128 * KIB)});
        EXPECT_EQ(Bytes(target.begin() + static_cast<long>(shift),
                        target.begin() + static_cast<long>(shift + 128 * KIB)),
                  file.read(128 * KIB, 4096))
            << "shift " << shift;
    }
}

// The ends come through the cache, the middle directly; each shape once with the end of the file
// inside.
TEST_P(PosixContent, DirectReadWithUnalignedEnds_isStillExact) {
    constexpr uint64_t BYTES = 1 * MIB + 777;
    ScratchFile file(random_bytes(BYTES, 17));
    PosixRig rig(GetParam(), 8);
    Bytes target(2 * MIB);
    const auto to = rig.memory(target);
    const auto disk = rig.file(file.path(), O_RDWR, NIXL_REGION_DIRECT);
    for (const uint64_t start : {uint64_t{0}, uint64_t{1}, uint64_t{511}, uint64_t{4000}, MIB / 2})
        for (const uint64_t bytes : {72 * KIB, 300 * KIB + 5, MIB}) {
            SCOPED_TRACE(std::to_string(start) + " " + std::to_string(bytes));
            std::fill(target.begin(), target.end(), 0xAA);
            const uint64_t place = start % 4096; // as the file, so that the middle is aligned
            const uint64_t there = std::min(bytes, BYTES - start);

            const auto& work = rig.run(disk->region(), to->region(), {run_of(start, place, bytes)});

            ASSERT_EQ(work.elements[0].status, NIXL_OK);
            ASSERT_EQ(work.elements[0].bytes, there);
            ASSERT_EQ(Bytes(target.begin() + static_cast<long>(place),
                            target.begin() + static_cast<long>(place + there)),
                      file.read(there, start));
            ASSERT_EQ(target[place + there], 0xAA);
        }
    EXPECT_FALSE(rig.host.logged("go through the page cache")) << "the middles are direct";
}

TEST_P(PosixContent, DirectElementsThatGoThroughTheCache_areToldOnceAndCounted) {
    ScratchFile file(random_bytes(256 * KIB, 18));
    PosixRig rig(GetParam());
    Bytes memory(128 * KIB);
    const auto to = rig.memory(memory);
    const auto disk = rig.file(file.path(), O_RDWR, NIXL_REGION_DIRECT);
    if (rig.host.logged("goes through the page cache"))
        GTEST_SKIP() << "no direct I/O here";
    const auto warnings = [&](const std::string& part) {
        int found = 0;
        for (const auto& line : rig.host.log_lines())
            found += line.level == NIXL_LOG_WARN && line.text.find(part) != std::string::npos;
        return found;
    };

    rig.run(disk->region(), to->region(), {run_of(0, 0, 4 * KIB, 8, 8 * KIB, 4 * KIB)});
    EXPECT_EQ(rig.host.counted("posix.direct_elements_through_cache"), 0u);
    for (int time = 0; time < 2; ++time) {
        rig.run(to->region(), disk->region(), {run_of(0, 100, 4 * KIB)});
        rig.run(disk->region(), to->region(), {run_of(0, 1, 4 * KIB, 3, 4 * KIB, 4 * KIB)});
    }

    EXPECT_EQ(warnings("offset or length of an element is no multiple of"), 1);
    EXPECT_EQ(warnings("the memory of an element is no multiple of"), 1);
    EXPECT_EQ(rig.host.counted("posix.direct_elements_through_cache"), 8u);
    for (int again = 0; again < 20; ++again) {
        const auto reopened = rig.file(file.path(), O_RDWR, NIXL_REGION_DIRECT);
        rig.run(to->region(), reopened->region(), {run_of(0, 100, 4 * KIB)});
    }
    EXPECT_EQ(warnings("such elements go through the page cache"), 16);
    EXPECT_EQ(warnings("further regions are only counted"), 1);
}

// The same buffer again and again, so that it becomes a registered one; then another in its place.
TEST_P(PosixContent, BufferUsedOften_keepsItsBytesAlsoAfterDetach) {
    constexpr uint64_t BYTES = 256 * KIB;
    ScratchFile file(random_bytes(8 * BYTES, 7));
    PosixRig rig(GetParam());
    Bytes memory(BYTES);
    const auto disk = rig.file(file.path(), O_RDWR, NIXL_REGION_DIRECT);
    for (uint64_t turn = 0; turn < 8; ++turn) {
        // Overlapping registrations: the whole, and its second half.
        const auto to = rig.memory(memory);
        const auto half = rig.memory(memory.data() + BYTES / 2, BYTES / 2);
        for (int again = 0; again < 4; ++again) {
            std::fill(memory.begin(), memory.end(), 0);
            rig.run(disk->region(), to->region(),
                    {run_of(turn * BYTES, 0, BYTES / 2), run_of(turn * BYTES, BYTES / 2, 4096)});
            rig.run(disk->region(), half->region(),
                    {run_of(turn * BYTES + BYTES / 2, 0, BYTES / 2)});
            ASSERT_TRUE(memory == file.read(BYTES, turn * BYTES))
                << "turn " << turn << " time " << again;
        }
    }
}

// Proves D5 cannot happen: far more elements than the queue holds, at every depth, nothing lost.
TEST_P(PosixContent, TenTimesTheDepthAndMore_completesEachElementOnce) {
    constexpr uint64_t COUNT = 5000, BLOCK = 512;
    ScratchFile file(random_bytes(COUNT * BLOCK, 8));
    for (const uint32_t depth : {1u, 2u, 16u, 64u}) {
        SCOPED_TRACE(depth);
        PosixRig rig(GetParam(), depth, {{"posix.merge_bytes", "0"}});
        Bytes target(COUNT * BLOCK);
        const auto to = rig.memory(target), disk = rig.file(file.path());

        const auto& work =
            rig.run(disk->region(), to->region(), {run_of(0, 0, BLOCK, COUNT, BLOCK, BLOCK)});

        EXPECT_EQ(work.count(NIXL_OK), COUNT);
        EXPECT_TRUE(target == file.read(COUNT * BLOCK));
    }
}

TEST_P(PosixContent, PollWithRoomForOne_losesNothing) {
    constexpr uint64_t COUNT = 400, BLOCK = 512;
    ScratchFile file(random_bytes(COUNT * BLOCK * 2, 9));
    PosixRig rig(GetParam(), 16);
    Bytes target(COUNT * BLOCK);
    const auto to = rig.memory(target), disk = rig.file(file.path());

    const auto& work =
        rig.run(disk->region(), to->region(), {run_of(0, 0, BLOCK, COUNT, 2 * BLOCK, BLOCK)}, 1);

    EXPECT_EQ(work.count(NIXL_OK), COUNT);
}

TEST_P(PosixContent, BatchThatStartsInsideARun_namesElementsAsTheBatchDoes) {
    constexpr uint64_t BLOCK = 1000;
    ScratchFile file(random_bytes(100 * BLOCK, 10));
    PosixRig rig(GetParam());
    Bytes target(100 * BLOCK);
    const auto to = rig.memory(target), disk = rig.file(file.path());
    auto& work = rig.works[77];
    work.runs = {run_of(0, 0, BLOCK, 40, BLOCK, BLOCK),
                 run_of(40 * BLOCK, 40 * BLOCK, BLOCK, 60, BLOCK, BLOCK)};
    work.pairs = {{disk->region(), to->region()}};
    work.elements.resize(100);
    work.done = 90; // elements 35 .. 44 alone are submitted
    nixl_batch batch = {};
    batch.struct_size = sizeof batch;
    batch.pair_count = 1;
    batch.pairs = work.pairs.data();
    batch.runs = work.runs.data();
    batch.run_count = 2;
    batch.first_element = 35;
    batch.first_in_run = 35;
    batch.element_count = 10;
    batch.tag = 77;

    ASSERT_EQ(rig.table.submit(rig.queue, &batch), 10u);
    ASSERT_TRUE(rig.finish(77));

    for (uint64_t i = 0; i < 100; ++i)
        EXPECT_EQ(work.elements[i].completions, i >= 35 && i < 45 ? 1u : 0u) << i;
    EXPECT_EQ(Bytes(target.begin() + 35 * BLOCK, target.begin() + 45 * BLOCK),
              file.read(10 * BLOCK, 35 * BLOCK));
    EXPECT_EQ(target[35 * BLOCK - 1], 0);
    EXPECT_EQ(target[45 * BLOCK], 0);
}

} // namespace
} // namespace nixl::test
