// SPDX-License-Identifier: Apache-2.0
// What fails in the posix backend fails by itself, with its own status and bytes.
#include "posix_rig.h"

#include <cerrno>
#include <thread>

namespace nixl::test {
namespace {

constexpr uint64_t KIB = 1024;

class PosixFailure : public PosixEngines {};
INSTANTIATE_TEST_SUITE_P(Engines, PosixFailure, ::testing::Values("io_uring", "threads"),
                         engine_name);

// D3 cannot happen: a read past the end tells its prefix and leaves the rest alone.
TEST_P(PosixFailure, ReadAcrossTheEnd_tellsThePrefixAndTouchesNoMore) {
    for (const uint32_t flags : {0u, uint32_t{NIXL_REGION_DIRECT}}) {
        ScratchFile file(random_bytes(4 * KIB + 100, 1));
        PosixRig rig(GetParam());
        Bytes target(64 * KIB, 0xAA);
        const auto to = rig.memory(target), disk = rig.file(file.path(), O_RDWR, flags);

        const auto& across = rig.run(disk->region(), to->region(), {run_of(0, 0, 64 * KIB)});
        const auto& beyond = rig.run(disk->region(), to->region(), {run_of(8 * KIB, 0, 4 * KIB)});

        EXPECT_EQ(across.elements[0].status, NIXL_OK);
        EXPECT_EQ(across.elements[0].bytes, 4 * KIB + 100);
        EXPECT_EQ(beyond.elements[0].status, NIXL_OK);
        EXPECT_EQ(beyond.elements[0].bytes, 0u);
        EXPECT_EQ(Bytes(target.begin(), target.begin() + 4196), file.read(4196));
        EXPECT_EQ(Bytes(target.begin() + 4196, target.end()), Bytes(64 * KIB - 4196, 0xAA));
    }
}

TEST_P(PosixFailure, JoinedReadAcrossTheEnd_tellsEachElement) {
    ScratchFile file(random_bytes(2500, 2));
    PosixRig rig(GetParam());
    Bytes target(16 * 1000, 0xAA);
    const auto to = rig.memory(target), disk = rig.file(file.path());

    // Contiguous in the file; contiguous, then scattered in memory.
    for (const int64_t stride : {1000, 1600}) {
        const auto& work =
            rig.run(disk->region(), to->region(), {run_of(0, 0, 1000, 10, 1000, stride)});

        EXPECT_EQ(work.count(NIXL_OK), 10u);
        EXPECT_EQ(work.elements[2].bytes, 500u);
        EXPECT_FALSE(work.elements[2].ranged);
        for (size_t i = 3; i < 10; ++i)
            EXPECT_EQ(work.elements[i].bytes, 0u) << i;
        const auto second = target.begin() + stride;
        EXPECT_EQ(Bytes(second, second + 1000), file.read(1000, 1000));
    }
}

TEST_P(PosixFailure, FileThatShrankAfterAttach_endsShort) {
    ScratchFile file(random_bytes(64 * KIB, 3));
    PosixRig rig(GetParam(), 4, {{"posix.merge_bytes", "0"}});
    Bytes target(64 * KIB);
    const auto to = rig.memory(target);
    const auto disk = rig.file(file.path(), O_RDWR, NIXL_REGION_DIRECT);
    rig.run(disk->region(), to->region(), {run_of(0, 0, 4 * KIB, 16, 4 * KIB, 4 * KIB)});

    file.resize(10 * KIB);
    const auto& work =
        rig.run(disk->region(), to->region(), {run_of(0, 0, 4 * KIB, 16, 4 * KIB, 4 * KIB)});

    uint64_t alone_bytes = 0, ranged = 0;
    for (const Element& element : work.elements) {
        alone_bytes += element.bytes;
        ranged += element.ranged ? 1 : 0;
    }
    EXPECT_EQ(work.count(NIXL_OK), 16u);
    EXPECT_EQ(alone_bytes + ranged * 4 * KIB, 10 * KIB);
}

// D1, D2 cannot happen: the failure of one is neither the other's nor told twice.
TEST_P(PosixFailure, OneFailsOneSucceeds_inEitherOrder) {
    ScratchFile file(random_bytes(64 * KIB, 4));
    for (const bool bad_first : {true, false}) {
        PosixRig rig(GetParam());
        Bytes target(8 * KIB);
        const auto to = rig.memory(target);
        const auto good = rig.file(file.path(), O_RDONLY), bad = rig.file(file.path(), O_WRONLY);
        uint64_t bad_tag = 0, good_tag = 0;
        for (const bool turn : {bad_first, !bad_first})
            if (turn)
                bad_tag = rig.submit(bad->region(), to->region(), {run_of(0, 0, 4 * KIB)});
            else
                good_tag = rig.submit(good->region(), to->region(), {run_of(0, 4 * KIB, 4 * KIB)});

        ASSERT_TRUE(rig.finish(good_tag, 1));
        ASSERT_TRUE(rig.finish(bad_tag, 1));

        EXPECT_EQ(rig.works[good_tag].elements[0].status, NIXL_OK);
        EXPECT_EQ(rig.works[bad_tag].elements[0].status, NIXL_PERMISSION_DENIED);
        EXPECT_EQ(rig.works[bad_tag].elements[0].detail, EBADF);
        EXPECT_FALSE(rig.poll_once());
    }
}

TEST_P(PosixFailure, JoinedWriteToReadOnlyFile_failsEveryElementItself) {
    ScratchFile file(random_bytes(64 * KIB, 5));
    PosixRig rig(GetParam());
    Bytes source(64 * KIB);
    const auto from = rig.memory(source), disk = rig.file(file.path(), O_RDONLY);

    const auto& work = rig.run(from->region(), disk->region(), {run_of(0, 0, KIB, 64, KIB, KIB)});

    EXPECT_EQ(work.count(NIXL_PERMISSION_DENIED), 64u);
    EXPECT_EQ(file.read(64 * KIB), random_bytes(64 * KIB, 5));
}

TEST_P(PosixFailure, BadAddressInTheMiddle_isItsOwnFailure) {
    ScratchFile file(random_bytes(64 * KIB, 6));
    PosixRig rig(GetParam());
    Bytes target(64 * KIB);
    const auto to = rig.memory(target), disk = rig.file(file.path());
    nixl_region everywhere = to->region();
    everywhere.base = reinterpret_cast<void*>(uintptr_t{1}); // so that offsets can leave the buffer
    const auto at = [&](uint64_t offset) {
        return reinterpret_cast<uintptr_t>(target.data()) + offset - 1;
    };

    const auto& work =
        rig.run(disk->region(), everywhere,
                {run_of(0, at(0), KIB), run_of(KIB, 4095, KIB), run_of(2 * KIB, at(8 * KIB), KIB)});

    EXPECT_EQ(work.elements[0].status, NIXL_OK);
    EXPECT_EQ(work.elements[1].status, NIXL_INVALID_ARGUMENT);
    EXPECT_EQ(work.elements[1].detail, EFAULT);
    EXPECT_EQ(work.elements[2].status, NIXL_OK);
    EXPECT_EQ(Bytes(target.begin() + 8 * KIB, target.begin() + 9 * KIB), file.read(KIB, 2 * KIB));
}

TEST_P(PosixFailure, PairWithoutStorage_isRefusedElementByElement) {
    PosixRig rig(GetParam());
    Bytes a(KIB), b(KIB);
    const auto from = rig.memory(a), to = rig.memory(b);

    const auto& work = rig.run(from->region(), to->region(), {run_of(0, 0, 10, 5, 10, 10)});

    EXPECT_EQ(work.count(NIXL_UNSUPPORTED), 5u);
}

TEST_P(PosixFailure, CancelOfALongTag_endsItAndLeavesTheOther) {
    constexpr uint64_t COUNT = 20'000;
    ScratchFile file(random_bytes(1024 * KIB, 7));
    PosixRig rig(GetParam(), 4, {{"posix.merge_bytes", "0"}});
    Bytes target(COUNT * 16), other(64 * KIB);
    const auto to = rig.memory(target), to_other = rig.memory(other);
    const auto disk = rig.file(file.path());
    const uint64_t tag =
        rig.submit(disk->region(), to->region(), {run_of(0, 0, 16, COUNT, 32, 16)});
    const uint64_t kept =
        rig.submit(disk->region(), to_other->region(), {run_of(0, 0, KIB, 64, 2 * KIB, KIB)});
    ASSERT_TRUE(rig.drive([&] { return rig.works[tag].done > 10; }, 8));

    rig.table.cancel(rig.queue, tag);
    rig.table.cancel(rig.queue, tag); // twice is once
    rig.table.cancel(rig.queue, 4711);
    ASSERT_TRUE(rig.finish(tag, 1));
    const Bytes at_the_end = target;
    ASSERT_TRUE(rig.finish(kept));

    EXPECT_GT(rig.works[tag].count(NIXL_CANCELLED), COUNT / 2);
    EXPECT_EQ(rig.works[tag].count(NIXL_CANCELLED) + rig.works[tag].count(NIXL_OK), COUNT);
    EXPECT_EQ(rig.works[kept].count(NIXL_OK), 64u);
    EXPECT_EQ(target, at_the_end) << "memory changed after its elements were completed";
}

TEST_P(PosixFailure, CancelOfDirectIoInFlight_completesEveryElement) {
    constexpr uint64_t COUNT = 512;
    ScratchFile file(random_bytes(COUNT * 4 * KIB, 8));
    PosixRig rig(GetParam(), 32, {{"posix.merge_bytes", "0"}});
    Bytes target(COUNT * 4 * KIB);
    const auto to = rig.memory(target);
    const auto disk = rig.file(file.path(), O_RDWR, NIXL_REGION_DIRECT);
    const uint64_t tag =
        rig.submit(disk->region(), to->region(), {run_of(0, 0, 4 * KIB, COUNT, 4 * KIB, 4 * KIB)});

    rig.table.cancel(rig.queue, tag);

    ASSERT_TRUE(rig.finish(tag));
    EXPECT_GE(rig.works[tag].count(NIXL_CANCELLED), COUNT - 32);
}

TEST_P(PosixFailure, MoreSpansThanFit_areRefusedAndTakenLater) {
    ScratchFile file(random_bytes(KIB, 9));
    PosixRig rig(GetParam(), 1);
    Bytes target(KIB);
    const auto to = rig.memory(target), disk = rig.file(file.path());
    uint32_t taken = 0;
    for (uint32_t i = 0; i < 2000; ++i) {
        rig.submit(disk->region(), to->region(), {run_of(0, 0, 1, 3, 1, 1)});
        if (rig.accepted == 0)
            break;
        ++taken;
    }
    EXPECT_GE(taken, 256u);
    EXPECT_LT(taken, 2000u);

    ASSERT_TRUE(rig.drive([&] { return rig.works.begin()->second.finished(); }));
    rig.submit(disk->region(), to->region(), {run_of(0, 0, 1, 3, 1, 1)});
    EXPECT_EQ(rig.accepted, 3u);

    ASSERT_TRUE(rig.drive([&] {
        for (const auto& [tag, work] : rig.works)
            if (!work.finished())
                return false;
        return true;
    }));
}

// io_uring ends a thread's requests with the thread; the queue's work must not end with them.
TEST_P(PosixFailure, SubmitterThatExits_doesNotTakeItsWorkAlong) {
    constexpr uint64_t COUNT = 2000;
    ScratchFile file(random_bytes(COUNT * 4 * KIB, 10));
    for (const uint32_t flags : {0u, uint32_t{NIXL_REGION_DIRECT}}) {
        PosixRig rig(GetParam(), 64, {{"posix.merge_bytes", "0"}});
        Bytes source = random_bytes(COUNT * 4 * KIB, 11);
        const auto from = rig.memory(source), disk = rig.file(file.path(), O_RDWR, flags);
        uint64_t tag = 0;

        std::thread([&] {
            tag = rig.submit(from->region(), disk->region(),
                             {run_of(0, 0, 4 * KIB, COUNT, 4 * KIB, 4 * KIB)});
        }).join();

        ASSERT_TRUE(rig.finish(tag));
        EXPECT_EQ(rig.works[tag].count(NIXL_OK), COUNT);
        EXPECT_TRUE(file.read(COUNT * 4 * KIB) == source);
    }
}

TEST_P(PosixFailure, WhatIsNoFile_isNotAttached) {
    PosixRig rig(GetParam());
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const core::Descriptor write_end(ends[1]);
    nixl_region_desc desc = {};
    desc.kind = NIXL_KIND_FILE;

    EXPECT_EQ(rig.attach(desc), nullptr);
    EXPECT_EQ(rig.last, NIXL_INVALID_ARGUMENT);
    EXPECT_EQ(rig.attach(desc, core::Descriptor(ends[0])), nullptr);
    EXPECT_EQ(rig.last, NIXL_UNSUPPORTED);
    EXPECT_EQ(rig.file("/tmp", O_RDONLY), nullptr);
    EXPECT_EQ(rig.last, NIXL_UNSUPPORTED);
    desc.kind = NIXL_KIND_DEVICE;
    EXPECT_EQ(rig.attach(desc), nullptr);
    EXPECT_EQ(rig.last, NIXL_UNSUPPORTED);
}

TEST(PosixSettings, WrongValues_areNamedWithWhatIsAccepted) {
    for (const auto& [key, value] : std::map<std::string, std::string>{
             {"posix.queue_depth", "0"}, {"posix.threads", "many"}, {"posix.merge_bytes", "1G"}}) {
        PosixRig rig("threads", 0, {{key, value}});
        EXPECT_EQ(rig.opened, NIXL_INVALID_ARGUMENT) << key;
        EXPECT_NE(std::string(rig.text).find(key + "=" + value), std::string::npos) << rig.text;
    }
    PosixRig rig("aio");
    EXPECT_EQ(rig.opened, NIXL_INVALID_ARGUMENT);
    EXPECT_NE(std::string(rig.text).find("auto, io_uring or threads"), std::string::npos);
}

} // namespace
} // namespace nixl::test
