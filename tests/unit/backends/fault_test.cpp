// SPDX-License-Identifier: Apache-2.0
// The fault decorator breaks what it is told to, by seed, and never the contract itself.
#include <algorithm>
#include <cerrno>
#include <memory>
#include <sstream>

#include <gtest/gtest.h>

#include "backends/builtin.h"
#include "tests/unit/backends/wrapped_backend.h"

namespace nixl::test::host_queues {
namespace {

/// A faulty memcpy over 300 KB, with all paths of memcpy in reach.
class Fault : public ::testing::Test {
  protected:
    Fault() {
        host.set("inline_copy_bytes", "4096")
            .set("memcpy.slice_bytes", "4096")
            .set("memcpy.share_bytes", "4096");
        host.set("memcpy.waited_inline_bytes", "4096");
    }
    void start(const std::string& seed = "1") {
        host.set("fault.seed", seed);
        rig.reset();
        wrapped = std::make_unique<WrappedBackend>("fault", load(nixl_backend_entry_memcpy, host));
        rig = std::make_unique<QueueRig>(host, wrapped->table());
    }
    ~Fault() override { rig.reset(); }

    Transfer transfer(std::vector<nixl_run> runs, uint64_t tag = 1) {
        return {source.data(), target.data(), std::move(runs), tag};
    }
    /// 1,000 elements of 100 bytes, with gaps at the target.
    static std::vector<nixl_run> many() { return {strided(0, 0, 100, 100, 110, 1000)}; }

    FakeHost host{2};
    Bytes source = random_bytes(300000, 5);
    Bytes target = Bytes(300000);
    std::unique_ptr<WrappedBackend> wrapped;
    std::unique_ptr<QueueRig> rig;
};

TEST_F(Fault, NoRates_changesNothing) {
    start();
    Transfer work = transfer(many());
    ASSERT_TRUE(rig->finish(work));
    EXPECT_EQ(work.with_status(NIXL_OK), 1000u);
    EXPECT_EQ(work.entries, 1u);
}

TEST_F(Fault, Errors_hitTheirElementsOnly) {
    host.set("fault.error_rate", "0.1");
    start();
    Transfer work = transfer(many());

    ASSERT_TRUE(rig->finish(work));

    const uint64_t failed = work.with_status(NIXL_IO_ERROR);
    EXPECT_GT(failed, 50u);
    EXPECT_LT(failed, 200u);
    EXPECT_EQ(work.with_status(NIXL_OK), 1000 - failed);
    for (uint64_t i = 0; i < 1000; ++i) {
        const auto from = source.begin() + static_cast<long>(i) * 100;
        const auto to = target.begin() + static_cast<long>(i) * 110;
        if (work.elements[i].status == NIXL_OK) {
            EXPECT_TRUE(std::equal(from, from + 100, to)) << i;
        } else {
            EXPECT_EQ(work.elements[i].detail, EIO);
            EXPECT_TRUE(std::all_of(to, to + 100, [](unsigned char byte) { return byte == 0; }))
                << i;
        }
    }
}

TEST_F(Fault, AlwaysErrors_everyElementFails) {
    host.set("fault.error_rate", "1");
    start();
    Transfer work = transfer(many());
    ASSERT_TRUE(rig->finish(work));
    EXPECT_EQ(work.with_status(NIXL_IO_ERROR), 1000u);
}

TEST_F(Fault, ShortElements_moveARealPrefix) {
    host.set("fault.short_rate", "1");
    start();
    std::vector<uint64_t> sizes{1, 2, 3, 100, 4097, 100000};
    uint64_t offset = 0;
    for (const uint64_t bytes : sizes) {
        std::fill(target.begin(), target.end(), 0);
        Transfer work = transfer({single(offset, offset, bytes)});
        ASSERT_TRUE(rig->finish(work));
        EXPECT_EQ(work.with_status(NIXL_OK), 1u);
        EXPECT_EQ(work.short_elements, bytes == 1 ? 0u : 1u);
        EXPECT_GE(work.bytes, 1u);
        const auto at = static_cast<long>(offset), moved = static_cast<long>(work.bytes);
        EXPECT_TRUE(
            std::equal(source.begin() + at, source.begin() + at + moved, target.begin() + at));
        EXPECT_TRUE(std::all_of(target.begin() + at + moved, target.end(),
                                [](unsigned char byte) { return byte == 0; }));
        offset += bytes;
    }
}

TEST_F(Fault, Refusals_wakeTheCoreAndEndAtLast) {
    host.set("fault.refuse_rate", "0.7");
    start();
    Transfer work = transfer(many());
    const uint64_t calls_before = work.submitted;
    uint64_t refusals = 0;
    while (work.submitted != work.count()) {
        const uint64_t offered = work.count() - work.submitted;
        const uint64_t wakes = host.wakes(rig.get());
        if (rig->submit(work) < offered) {
            ++refusals;
            EXPECT_EQ(host.wakes(rig.get()), wakes + 1);
            EXPECT_FALSE(rig->arm());
        }
    }
    EXPECT_EQ(calls_before, 0u);
    EXPECT_GT(refusals, 0u);
    ASSERT_TRUE(rig->finish(work));
    EXPECT_EQ(work.with_status(NIXL_OK), 1000u);
}

TEST_F(Fault, Delays_areCountedInPolls) {
    host.set("fault.delay_rate", "1");
    start();
    Transfer work = transfer({single(0, 0, 64)});
    rig->submit(work);
    int polls = 0;
    while (work.ended == 0 && polls < 100) {
        EXPECT_FALSE(rig->arm()) << "a sleeping driver would never see it";
        rig->poll();
        ++polls;
    }
    EXPECT_GT(polls, 1);
    EXPECT_LE(polls, 17);
}

TEST_F(Fault, SplitAndReordered_stillCoversEachElementOnce) {
    host.set("fault.split_rate", "1").set("fault.reorder_rate", "1");
    start();
    std::vector<std::unique_ptr<Transfer>> works;
    for (uint64_t tag = 0; tag < 20; ++tag) {
        works.push_back(std::make_unique<Transfer>(
            transfer({strided(0, 0, 10, 10, 10, 20), single(500, 500, 77)}, tag)));
        rig->submit(*works.back());
    }
    for (auto& work : works) {
        ASSERT_TRUE(rig->finish(*work));
        EXPECT_EQ(work->entries, 2u);
        EXPECT_EQ(work->bytes, 277u);
    }
}

TEST_F(Fault, Held_comesBackOnCancel) {
    host.set("fault.hold_rate", "1");
    start();
    Transfer held = transfer({single(0, 0, 64)}, 1), other = transfer({single(0, 64, 64)}, 2);
    rig->submit(held);
    rig->submit(other);
    for (int i = 0; i < 1000; ++i)
        EXPECT_EQ(rig->poll(), 0u);

    rig->cancel(1);

    EXPECT_FALSE(rig->arm());
    EXPECT_EQ(rig->poll(), 1u);
    EXPECT_EQ(held.ended, 1u);
    EXPECT_EQ(other.ended, 0u);
    rig->cancel(2);
    EXPECT_EQ(rig->poll(), 1u);
}

TEST_F(Fault, CancelledInFlight_isNotHeldAfterwards) {
    host.set("fault.hold_rate", "1");
    host.hold_workers();
    start();
    Transfer work = transfer({single(0, 0, 100000)});
    rig->submit(work);
    rig->cancel(1);
    host.release_workers();
    ASSERT_TRUE(rig->finish(work));
    EXPECT_EQ(work.with_status(NIXL_CANCELLED), 1u);
}

TEST_F(Fault, HeldForever_doesNotComeBackOnCancel) {
    host.set("fault.hold_rate", "1").set("fault.hold_forever", "true");
    start();
    Transfer work = transfer({single(0, 0, 64)});
    rig->submit(work);
    rig->cancel(1);
    for (int i = 0; i < 1000; ++i)
        EXPECT_EQ(rig->poll(), 0u);
    EXPECT_EQ(target[0], source[0]) << "the bytes had moved";
}

/// Everything at once; what happened, as text.
std::string storm(FakeHost& host, QueueRig& rig, Bytes& source, Bytes& target, bool workers) {
    std::ostringstream story;
    std::vector<std::unique_ptr<Transfer>> works;
    for (uint64_t tag = 0; tag < 12; ++tag) {
        std::vector<nixl_run> runs{strided(0, tag * 2000, 10, 10, 11, 50),
                                   single(0, tag * 2000 + 1000, 900)};
        if (workers)
            runs.push_back(single(0, 30000 + tag * 8000, 8000));
        works.push_back(
            std::make_unique<Transfer>(source.data(), target.data(), std::move(runs), tag));
        rig.submit(*works.back());
        rig.poll(3);
    }
    for (auto& work : works) {
        for (int i = 0; i < 5000 && work->ended != work->count(); ++i) {
            if (work->submitted != work->count())
                rig.submit(*work);
            rig.poll(3);
            if (!workers && i == 200)
                rig.cancel(work->tag);
        }
        if (workers && work->ended != work->count()) {
            rig.cancel(work->tag);
            EXPECT_TRUE(rig.finish(*work));
        }
        EXPECT_EQ(work->ended, work->count());
        for (const Transfer::Element& element : work->elements) {
            EXPECT_EQ(element.completions, 1);
            story << element.status << ' ';
        }
        story << work->bytes << ' ' << work->short_elements << ' ' << work->entries << '\n';
    }
    EXPECT_FALSE(host.logged("is not within"));
    return story.str();
}

class FaultStorm : public Fault {
  protected:
    FaultStorm() {
        host.set("fault.error_rate", "0.05").set("fault.short_rate", "0.05");
        host.set("fault.refuse_rate", "0.3").set("fault.delay_rate", "0.3");
        host.set("fault.split_rate", "0.3").set("fault.reorder_rate", "0.3");
        host.set("fault.hold_rate", "0.05");
    }
};

TEST_F(FaultStorm, SameSeed_sameStory) {
    std::vector<std::string> stories;
    for (const char* seed : {"3", "3", "4"}) {
        start(seed);
        stories.push_back(storm(host, *rig, source, target, false));
    }
    EXPECT_EQ(stories[0], stories[1]);
    EXPECT_NE(stories[0], stories[2]);
}

TEST_F(FaultStorm, ManySeedsOverWorkers_keepTheContract) {
    for (int seed = 0; seed < 100; ++seed) {
        SCOPED_TRACE(seed);
        start(std::to_string(seed));
        storm(host, *rig, source, target, true);
    }
}

} // namespace
} // namespace nixl::test::host_queues
