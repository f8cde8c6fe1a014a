// SPDX-License-Identifier: Apache-2.0
// Large copies on the worker pool: back-pressure, sleeping, cancelling, closing, a pool that
// refuses.
#include <algorithm>

#include <gtest/gtest.h>

#include "backends/builtin.h"
#include "tests/unit/backends/queue_rig.h"

namespace nixl::test::host_queues {
namespace {

constexpr uint64_t KIB = 1024, MIB = 1024 * KIB;

class MemcpyWorkers : public ::testing::Test {
  protected:
    MemcpyWorkers() {
        host.set("inline_copy_bytes", "4096").set("memcpy.slice_bytes", "4096");
        host.set("memcpy.waited_inline_bytes", "4096").set("memcpy.share_bytes", "4096");
    }
    Transfer transfer(std::vector<nixl_run> runs, uint64_t tag) {
        return {source.data(), target.data(), std::move(runs), tag};
    }

    FakeHost host{2};
    Bytes source = random_bytes(MIB, 1);
    Bytes target = Bytes(MIB);
};

TEST_F(MemcpyWorkers, SleepingDriver_isWokenOnce) {
    QueueRig rig(host, load(nixl_backend_entry_memcpy, host));
    for (uint64_t round = 0; round < 200; ++round) {
        Transfer work = transfer({single(0, 0, 64 * KIB)}, round);
        ASSERT_TRUE(rig.finish_sleeping(work)); // the workers may be done before it sleeps
    }
    Transfer last = transfer({single(0, 0, 64 * KIB)}, 1000);
    const uint64_t before = host.wakes(&rig);
    host.hold_workers();
    rig.submit(last);
    EXPECT_EQ(rig.poll(), 0u);
    EXPECT_TRUE(rig.arm());
    host.release_workers();
    EXPECT_TRUE(host.wait_for_wakes(&rig, before + 1, PATIENCE));
    EXPECT_EQ(rig.poll(), 1u);

    ASSERT_TRUE(host.wait_until_idle(PATIENCE));
    EXPECT_GT(rig.arms(), 0u);
    EXPECT_EQ(host.wakes(&rig), rig.arms()) << "each arming is answered by one wake";
    EXPECT_TRUE(std::equal(target.begin(), target.begin() + 65536, source.begin()));
}

TEST_F(MemcpyWorkers, NotArmed_nobodyIsWoken) {
    QueueRig rig(host, load(nixl_backend_entry_memcpy, host));
    Transfer work = transfer({single(0, 0, MIB)}, 1);
    ASSERT_TRUE(rig.finish(work));
    EXPECT_EQ(host.wakes(&rig), 0u);
}

TEST_F(MemcpyWorkers, CompletionWaiting_refusesToArm) {
    QueueRig rig(host, load(nixl_backend_entry_memcpy, host));
    Transfer work = transfer({single(0, 0, MIB)}, 1);
    rig.submit(work);
    ASSERT_TRUE(host.wait_until_idle(PATIENCE)) << "it must finish without poll()";
    EXPECT_FALSE(rig.arm());
    EXPECT_EQ(rig.poll(), 1u);
    EXPECT_TRUE(rig.arm());
}

TEST_F(MemcpyWorkers, OpenSpans_areBoundedAndAllComeBack) {
    host.set("memcpy.open_spans", "4");
    host.hold_workers();
    QueueRig rig(host, load(nixl_backend_entry_memcpy, host));
    std::vector<std::unique_ptr<Transfer>> works;
    for (uint64_t tag = 0; tag < 10; ++tag)
        works.push_back(std::make_unique<Transfer>(transfer({single(0, tag * 8192, 8192)}, tag)));

    uint64_t accepted = 0;
    for (auto& work : works)
        accepted += rig.submit(*work);

    EXPECT_EQ(accepted, 4u);
    host.release_workers();
    for (auto& work : works)
        EXPECT_TRUE(rig.finish(*work));
}

TEST_F(MemcpyWorkers, DepthOne_stillServesManyTimesItsDepth) {
    QueueRig rig(host, load(nixl_backend_entry_memcpy, host), 1);
    for (uint64_t tag = 0; tag < 10; ++tag) {
        Transfer work = transfer({single(0, 0, 100 * KIB), single(0, 200 * KIB, 64)}, tag);
        ASSERT_TRUE(rig.finish(work));
    }
}

TEST_F(MemcpyWorkers, CancelBeforeItStarts_movesNothing) {
    host.hold_workers();
    QueueRig rig(host, load(nixl_backend_entry_memcpy, host));
    Transfer first = transfer({single(0, 0, 64 * KIB)}, 1);
    Transfer doomed = transfer({single(0, 512 * KIB, 64 * KIB), single(0, 600 * KIB, 5)}, 2);
    rig.submit(first);
    rig.submit(doomed);

    rig.cancel(2);
    rig.cancel(77); // unknown: nothing happens

    EXPECT_EQ(rig.poll(), 1u);
    EXPECT_EQ(doomed.with_status(NIXL_CANCELLED), 2u);
    EXPECT_EQ(doomed.bytes, 0u);
    host.release_workers();
    EXPECT_TRUE(rig.finish(first));
    EXPECT_EQ(first.with_status(NIXL_OK), 1u);
    EXPECT_TRUE(std::all_of(target.begin() + 512 * KIB, target.end(),
                            [](unsigned char byte) { return byte == 0; }));
}

// The poster has copied the beginning of it in submit(); the workers have not come to the rest.
TEST_F(MemcpyWorkers, CancelOfACopyThatItsPosterWaitsFor_endsWhatIsLeft) {
    host.hold_workers();
    QueueRig rig(host, load(nixl_backend_entry_memcpy, host));
    std::vector<nixl_run> runs;
    for (uint64_t i = 0; i < 8; ++i)
        runs.push_back(single(i * 128 * KIB, i * 128 * KIB, 128 * KIB));
    Transfer work = transfer(runs, 1);
    rig.submit(work, NIXL_BATCH_WAITED);

    rig.cancel(1);

    host.release_workers();
    ASSERT_TRUE(rig.finish(work));
    EXPECT_GE(work.with_status(NIXL_CANCELLED), 1u);
    EXPECT_EQ(work.with_status(NIXL_OK) + work.with_status(NIXL_CANCELLED), 8u);
    const Bytes after = target;
    ASSERT_TRUE(host.wait_until_idle(PATIENCE));
    EXPECT_EQ(target, after) << "written after the cancel had ended";
}

// Nobody takes from the queue between the cancels, so they alone have to free its places.
TEST_F(MemcpyWorkers, CancelledSpans_giveTheirPlacesBack) {
    for (const char* spans : {"1", "2"}) {
        SCOPED_TRACE(spans);
        FakeHost few(2);
        few.set("inline_copy_bytes", "4096").set("memcpy.open_spans", spans);
        few.hold_workers();
        QueueRig rig(few, load(nixl_backend_entry_memcpy, few));
        for (uint64_t tag = 1; tag <= 10; ++tag) {
            Transfer work = transfer({single(0, 0, 64 * KIB)}, tag);
            ASSERT_EQ(rig.submit(work), 1u) << "span " << tag;
            rig.cancel(tag);
            ASSERT_EQ(rig.poll(), 1u);
            ASSERT_EQ(work.with_status(NIXL_CANCELLED), 1u);
        }
        few.release_workers();
        Transfer last = transfer({single(0, 0, 64 * KIB)}, 11);
        ASSERT_TRUE(rig.finish(last));
    }
}

TEST_F(MemcpyWorkers, CancelHalfWay_countsExactlyWhatMoved) {
    host.hold_workers();
    {
        QueueRig rig(host, load(nixl_backend_entry_memcpy, host));
        Transfer work = transfer({strided(0, 0, 1000, 1000, 1001, 20), single(0, 30000, 40000)}, 1);
        rig.submit(work);
        // 20 elements of 1000 bytes are 5 slices of 4; then parts of the long one.
        for (int slice = 0; slice < 7; ++slice)
            ASSERT_TRUE(rig.assist());

        rig.cancel(1);

        EXPECT_EQ(rig.poll(), 2u);
        EXPECT_EQ(work.with_status(NIXL_OK), 20u);
        EXPECT_EQ(work.with_status(NIXL_CANCELLED), 1u);
        EXPECT_EQ(work.bytes, 20000u + 2 * 4096);
        EXPECT_TRUE(std::equal(source.begin(), source.begin() + 8192, target.begin() + 30000));
        EXPECT_EQ(target[30000 + 8192], 0);
        host.release_workers();
    }
}

TEST_F(MemcpyWorkers, CancelWhileWorkersCopy_everyElementEndsOnce) {
    QueueRig rig(host, load(nixl_backend_entry_memcpy, host));
    for (uint64_t round = 0; round < 300; ++round) {
        Transfer work = transfer({strided(0, 0, 3000, 3000, 3000, 100)}, round);
        Transfer other = transfer({single(0, 400 * KIB, 100 * KIB)}, round + 1000000);
        rig.submit(work);
        rig.submit(other);
        for (uint64_t i = 0; i < round % 7; ++i)
            rig.assist();
        rig.cancel(round);
        ASSERT_TRUE(rig.finish(work));
        ASSERT_TRUE(rig.finish(other));
        ASSERT_EQ(work.with_status(NIXL_OK) + work.with_status(NIXL_CANCELLED), work.count());
        ASSERT_EQ(other.with_status(NIXL_OK), 1u);
        const uint64_t prefix = work.with_status(NIXL_OK) * 3000;
        ASSERT_GE(work.bytes, prefix);
        ASSERT_TRUE(std::equal(source.begin(), source.begin() + static_cast<long>(work.bytes),
                               target.begin()));
    }
}

TEST_F(MemcpyWorkers, PoolRefuses_theWorkIsDoneAllTheSame) {
    host.limit_waiting_works(0);
    QueueRig rig(host, load(nixl_backend_entry_memcpy, host));
    Transfer work = transfer({single(0, 0, MIB)}, 1);

    EXPECT_EQ(rig.submit(work), 1u);

    EXPECT_EQ(rig.poll(), 1u);
    EXPECT_TRUE(target == source);
}

TEST_F(MemcpyWorkers, CloseRightAfterTheLastCompletion_waitsForTheWorkers) {
    for (uint64_t round = 0; round < 300; ++round) {
        QueueRig rig(host, load(nixl_backend_entry_memcpy, host));
        Transfer work = transfer({single(0, 0, 64 * KIB)}, round);
        ASSERT_TRUE(rig.finish(work, 0, round % 2 == 0));
    }
}

TEST_F(MemcpyWorkers, LongWork_letsOthersOntoThePool) {
    FakeHost one(1);
    one.set("memcpy.slice_bytes", "65536");
    QueueRig rig(one, load(nixl_backend_entry_memcpy, one));
    // 160 MiB through 1 MiB of memory: more than one turn of 64 MiB.
    Transfer work = transfer({strided(0, 0, MIB, 0, 0, 160)}, 1);
    rig.submit(work);
    ASSERT_TRUE(rig.finish(work));
    ASSERT_TRUE(one.wait_until_idle(PATIENCE));
    EXPECT_GE(one.works_run(), 3u) << "two turns ended, and the task went to the end of the queue";
}

/// Workers that are held, and a clock that stands, until the end of the scope: a task that looks
/// for more work waits for time to pass.
class Held {
  public:
    explicit Held(FakeHost& host) : host_(host) {
        host_.set_clock_ns(1'000'000'000);
        host_.hold_workers();
    }
    ~Held() {
        host_.set_clock_ns(0);
        host_.release_workers();
    }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;

  private:
    FakeHost& host_;
};

/// Copies that their poster waits for, of 64 KiB. What is handed to workers, which are held, is not
/// finished when submit() returns.
class MemcpyBursts : public MemcpyWorkers {
  protected:
    MemcpyBursts() { host.set("memcpy.waited_inline_bytes", "1048576"); }
    bool is_done_at_once(QueueRig& rig, FakeHost& clock, uint64_t after_ns) {
        clock.advance_clock_ns(after_ns);
        work = transfer({single(0, 0, 64 * KIB)}, 1);
        EXPECT_EQ(rig.submit(work, NIXL_BATCH_WAITED), 1u);
        return rig.poll() == 1;
    }
    Transfer work = transfer({single(0, 0, 64 * KIB)}, 1);
};

// Waking a worker costs more than it brings for a copy now and then.
TEST_F(MemcpyBursts, CopiesApart_areMadeByThePosterAndCloseOnesByWorkersToo) {
    constexpr uint64_t BURST_BYTES = MIB;
    QueueRig rig(host, load(nixl_backend_entry_memcpy, host));
    const Held held(host);
    for (int copy = 0; copy < 100; ++copy)
        ASSERT_TRUE(is_done_at_once(rig, host, 100'000)) << "copy " << copy;
    uint64_t copies = 1;
    while (copies < 100 && is_done_at_once(rig, host, 1000))
        ++copies;

    EXPECT_EQ(copies, BURST_BYTES / (64 * KIB));
    EXPECT_TRUE(rig.finish(work, 0, true));
}

TEST_F(MemcpyBursts, OnlyWorker_isNotWokenByThem) {
    FakeHost one(1);
    one.set("inline_copy_bytes", "4096").set("memcpy.waited_inline_bytes", "1048576");
    QueueRig rig(one, load(nixl_backend_entry_memcpy, one));
    const Held held(one);
    for (int copy = 0; copy < 100; ++copy)
        ASSERT_TRUE(is_done_at_once(rig, one, 1000)) << "copy " << copy;
}

TEST_F(MemcpyBursts, LongCopyInFlight_keepsNoShortOneWaiting) {
    QueueRig rig(host, load(nixl_backend_entry_memcpy, host));
    Transfer first = transfer({single(0, 0, MIB)}, 2);
    {
        const Held held(host);
        ASSERT_EQ(rig.submit(first), 1u);
        EXPECT_TRUE(is_done_at_once(rig, host, 1000));
    }
    EXPECT_TRUE(rig.finish(first));
}

// The poster takes from the front and workers from the middle, so what has moved is no prefix.
TEST_F(MemcpyWorkers, CancelOfACopyThatItsPosterShares_countsExactlyWhatMoved) {
    std::fill(source.begin(), source.end(), static_cast<unsigned char>(1));
    QueueRig rig(host, load(nixl_backend_entry_memcpy, host));
    for (uint64_t round = 1; round <= 300; ++round) {
        std::fill(target.begin(), target.end(), static_cast<unsigned char>(0));
        Transfer work = transfer({single(0, 0, 256 * KIB)}, round);
        rig.submit(work, NIXL_BATCH_WAITED);
        for (uint64_t i = 0; i < round % 5; ++i)
            rig.assist();
        rig.cancel(round);
        ASSERT_TRUE(rig.finish(work));
        ASSERT_EQ(work.bytes, static_cast<uint64_t>(std::count(target.begin(), target.end(), 1)));
    }
}

TEST_F(MemcpyWorkers, ManySpansAtOnce_allArrive) {
    QueueRig rig(host, load(nixl_backend_entry_memcpy, host));
    std::vector<std::unique_ptr<Transfer>> works;
    for (uint64_t tag = 0; tag < 64; ++tag) {
        works.push_back(std::make_unique<Transfer>(
            transfer({single(tag * 16384, tag * 16384, 8192 + tag * 128)}, tag)));
        rig.submit(*works.back());
    }
    for (auto& work : works) {
        ASSERT_TRUE(rig.finish(*work));
        const auto at = static_cast<long>(work->runs[0].source_offset);
        EXPECT_TRUE(std::equal(source.begin() + at,
                               source.begin() + at + static_cast<long>(work->bytes_of[0]),
                               target.begin() + at));
    }
}

} // namespace
} // namespace nixl::test::host_queues
