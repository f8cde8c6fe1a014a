// SPDX-License-Identifier: Apache-2.0
// Queues: back-pressure without loss, cancelling without late writes, several queues and drivers.
#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "tests/conformance/backend_rig.h"
#include "tests/conformance/subject_test.h"
#include "tests/support/gpu_memory.h"
#include "tests/support/process_state.h"

namespace nixl::test {
namespace {

class BackendQueue : public SubjectTest {
  protected:
    struct Copy {
        std::unique_ptr<Place> source, target;
        Bytes content;
        Work work;
    };
    /// 64 elements per `kilobytes` KiB: work of its own, that can be checked on its own.
    Copy make_copy(BackendRig& rig, uint64_t seed, uint64_t kilobytes = 64) const {
        Copy copy{make_source(kilobytes * 1024),
                  make_target(kilobytes * 1024),
                  random_bytes(kilobytes * 1024, seed),
                  {}};
        copy.source->write(copy.content);
        copy.work = BackendRig::make_work(rig.source(*copy.source), rig.target(*copy.target),
                                          {strided(0, 0, 1024, 1024, 1024, kilobytes)});
        return copy;
    }
    static void expect_whole(const Copy& copy) {
        EXPECT_EQ(copy.work.count(NIXL_OK), copy.work.elements.size()) << copy.work.summary();
        EXPECT_TRUE(!moves() || copy.target->read() == copy.content);
    }
};

/// D5: ten times as many elements as the queue has room for; nothing may be lost.
TEST_P(BackendQueue, DepthOne_takesAllInTurn) {
    BackendRig rig(subject(), BackendRig::Options{1, {}});
    Copy copy = make_copy(rig, 1, 10);

    ASSERT_TRUE(rig.finish(copy.work));

    expect_whole(copy);
    rig.detach_all();
}

TEST_P(BackendQueue, TenTimesTheDepth_losesNothing) {
    for (const uint32_t depth : {2u, 16u, 64u}) {
        BackendRig rig(subject(), BackendRig::Options{depth, {}});
        Copy copy = make_copy(rig, depth, depth * 10);

        ASSERT_TRUE(rig.finish(copy.work, 0, 3)) << "depth " << depth;

        expect_whole(copy);
        rig.detach_all();
    }
}

TEST_P(BackendQueue, FullQueue_acceptsAgainAfterACompletion) {
    BackendRig rig(subject(), BackendRig::Options{4, {}});
    std::vector<Copy> copies;
    for (uint64_t i = 0; i < 20; ++i)
        copies.push_back(make_copy(rig, i + 1, 5));
    uint64_t most_in_flight = 0;
    const auto all_done = [&] {
        bool done = true;
        uint64_t in_flight = 0;
        for (Copy& copy : copies) {
            if (copy.work.accepted != copy.work.elements.size())
                rig.submit(copy.work);
            in_flight += copy.work.accepted - copy.work.ended;
            done = done && copy.work.finished();
        }
        most_in_flight = std::max(most_in_flight, in_flight);
        return done;
    };

    ASSERT_TRUE(rig.drive(all_done, 0, 1));

    for (const Copy& copy : copies)
        expect_whole(copy);
    // What `fault` delays has left the backend's queue.
    EXPECT_TRUE(subject().max_depth == 0 || subject().fixture->in_fault ||
                most_in_flight <= std::min(4u, subject().max_depth))
        << most_in_flight << " in flight, 4 were asked for";
    rig.detach_all();
}

TEST_P(BackendQueue, PortionsOfOneBatch_goOnWhereTheLastEnded) {
    BackendRig rig(subject());
    Copy copy = make_copy(rig, 3);
    uint64_t portion = 1;
    const auto offer = [&] {
        if (copy.work.accepted != copy.work.elements.size())
            rig.submit(copy.work, 0, portion++ % 5 + 1);
        return copy.work.finished();
    };

    ASSERT_TRUE(rig.drive(offer));

    expect_whole(copy);
    rig.detach_all();
}

TEST_P(BackendQueue, Cancelled_everyElementStillEnds) {
    uint64_t cancelled_rounds = 0;
    for (uint64_t round = 0; round < 10; ++round) {
        BackendRig rig(subject(), BackendRig::Options{16, {}});
        Copy copy = make_copy(rig, round + 1, 512);
        const Bytes before = random_bytes(512 * 1024, 99);
        copy.target->write(before);
        copy.work.flags = round % 2 != 0 ? uint32_t{NIXL_BATCH_WAITED} : 0;
        rig.submit(copy.work);
        for (uint64_t i = 0; i < round / 2; ++i)
            rig.poll(0, 2);
        copy.work.stopped = true;
        if (copy.work.finished()) { // nothing is left to cancel, and its tag is not open any more
            rig.detach_all();
            continue;
        }
        ++cancelled_rounds;
        rig.cancel(copy.work);
        rig.cancel(copy.work); // twice is once

        ASSERT_TRUE(rig.drive([&] { return copy.work.finished(); })) << copy.work.summary();

        EXPECT_EQ(copy.work.count(NIXL_OK) + copy.work.count(NIXL_CANCELLED), copy.work.accepted)
            << copy.work.summary();
        if ((subject().cap_flags & NIXL_CAP_CANCEL_FENCES) != 0) {
            const Bytes fresh(512 * 1024, 0x5A);
            copy.target->write(fresh);
            for (int i = 0; i < 100; ++i)
                rig.poll();
            ASSERT_TRUE(rig.host().wait_until_idle(PATIENCE));
            EXPECT_TRUE(copy.target->read() == fresh) << "written after the cancel had ended";
        }
        rig.detach_all();
    }
    EXPECT_GE(cancelled_rounds, 1u) << "accepted nothing, or ended it without a poll";
}

TEST_P(BackendQueue, CancelOfOneTag_leavesTheOthersAlone) {
    BackendRig rig(subject());
    Copy first = make_copy(rig, 1, 32), second = make_copy(rig, 2, 32);
    rig.submit(first.work);
    rig.submit(second.work);
    rig.cancel(first.work);
    first.work.stopped = true;

    ASSERT_TRUE(rig.finish(second.work));
    ASSERT_TRUE(rig.drive([&] { return first.work.ended == first.work.accepted; }));

    expect_whole(second);
    rig.detach_all();
}

TEST_P(BackendQueue, CancelOfWhatHasEnded_doesNothing) {
    BackendRig rig(subject());
    Copy copy = make_copy(rig, 5);
    ASSERT_TRUE(rig.finish(copy.work));
    rig.cancel(copy.work);
    rig.cancel(0xdead'beef);

    Copy next = make_copy(rig, 6);
    ASSERT_TRUE(rig.finish(next.work));

    expect_whole(copy);
    expect_whole(next);
    rig.detach_all();
}

TEST_P(BackendQueue, TagsUsedAgain_belongToTheirNewWork) {
    BackendRig rig(subject());
    Copy copy = make_copy(rig, 7);
    for (int round = 0; round < 20; ++round) {
        Work again = BackendRig::make_work(copy.work.pairs[0].source, copy.work.pairs[0].target,
                                           copy.work.runs);
        ASSERT_TRUE(rig.finish(again));
        EXPECT_EQ(again.count(NIXL_OK), again.elements.size());
    }
    rig.detach_all();
}

TEST_P(BackendQueue, TwoQueues_haveTheirOwnCompletions) {
    BackendRig rig(subject(), BackendRig::Options{8, {}});
    const size_t other = rig.open_queue(8);
    Copy first = make_copy(rig, 1, 128), second = make_copy(rig, 2, 128);
    const auto offer = [&] { // both start with tag 1: tags belong to their queue
        if (first.work.accepted != 128)
            rig.submit(first.work, 0);
        if (second.work.accepted != 128)
            rig.submit(second.work, other);
        rig.poll(other, 2);
        return first.work.finished() && second.work.finished();
    };

    const auto end = std::chrono::steady_clock::now() + PATIENCE;
    while (!offer() && std::chrono::steady_clock::now() < end)
        rig.poll(0, 2);

    expect_whole(first);
    expect_whole(second);
    rig.detach_all();
}

TEST_P(BackendQueue, QueuesOnThreadsOfTheirOwn_doNotDisturbEachOther) {
    BackendRig rig(subject());
    constexpr size_t THREADS = 4;
    std::vector<Copy> copies;
    for (size_t i = 0; i < THREADS; ++i) {
        ASSERT_TRUE(i == 0 || rig.open_queue(16) == i);
        copies.push_back(make_copy(rig, i + 1, 512));
    }
    std::vector<std::thread> threads;
    std::atomic<int> finished{0};
    for (size_t i = 0; i < THREADS; ++i)
        threads.emplace_back([&, i] { finished += rig.finish(copies[i].work, i) ? 1 : 0; });
    for (std::thread& thread : threads)
        thread.join();

    EXPECT_EQ(finished.load(), static_cast<int>(THREADS));
    for (const Copy& copy : copies)
        expect_whole(copy);
    rig.detach_all();
}

TEST_P(BackendQueue, ThreadsTakingTurns_driveOneQueue) {
    BackendRig rig(subject(), BackendRig::Options{8, {}});
    Copy copy = make_copy(rig, 8, 2048 / slowdown());
    std::mutex turn;
    std::vector<std::thread> threads;
    const auto end = std::chrono::steady_clock::now() + PATIENCE;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            for (;;) {
                const std::lock_guard lock(turn);
                if (copy.work.finished() || std::chrono::steady_clock::now() > end)
                    return;
                if (copy.work.accepted != copy.work.elements.size())
                    rig.submit(copy.work);
                rig.poll(0, 4);
            }
        });
    for (std::thread& thread : threads)
        thread.join();

    expect_whole(copy);
    rig.detach_all();
}

TEST_P(BackendQueue, EverythingClosed_leavesNothingBehind) {
    const auto objects = subject().fixture->hooks.objects;
    const uint64_t objects_before = objects != nullptr ? objects() : 0;
    const auto source = make_source(64 * 1024);
    const auto target = make_target(64 * 1024);
    const ProcessState before = ProcessState::now();
    {
        BackendRig rig(subject());
        (void)rig.open_queue(8);
        const nixl_region from = rig.source(*source), into = rig.target(*target);
        for (int i = 0; i < 5; ++i) { // often enough for buffers to be pinned
            Work work = BackendRig::make_work(from, into, {strided(0, 0, 4096, 4096, 4096, 16)});
            ASSERT_TRUE(rig.finish(work, static_cast<size_t>(i % 2)));
        }
        rig.detach_all();
    }

    EXPECT_EQ(left_since(before), "");
    EXPECT_TRUE(objects == nullptr || objects() == objects_before);
}

INSTANTIATE_TEST_SUITE_P(Backends, BackendQueue, ::testing::ValuesIn(subjects()), subject_name);

// ---- What a backend may say of itself
// -------------------------------------------------------------

class BackendSelfDriven : public BackendQueue {};

std::vector<Subject> self_driven_subjects() {
    std::vector<Subject> found;
    for (const Subject& each : subjects())
        if ((each.cap_flags & NIXL_CAP_SELF_DRIVEN) != 0)
            found.push_back(each);
    return found;
}

TEST_P(BackendSelfDriven, AcceptedWork_finishesWithoutPolls) {
    BackendRig rig(subject());
    Copy copy = make_copy(rig, 4, 1024);

    ASSERT_EQ(rig.submit(copy.work), copy.work.elements.size());
    ASSERT_TRUE(rig.host().wait_until_idle(PATIENCE));

    if (copy.source->device() >= 0 || copy.target->device() >= 0)
        wait_for_gpus();
    EXPECT_TRUE(!moves() || copy.target->read() == copy.content);
    EXPECT_TRUE(rig.finish(copy.work));
    rig.detach_all();
}

INSTANTIATE_TEST_SUITE_P(Backends, BackendSelfDriven, ::testing::ValuesIn(self_driven_subjects()),
                         subject_name);

} // namespace
} // namespace nixl::test
