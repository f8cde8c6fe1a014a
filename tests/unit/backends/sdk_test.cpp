// SPDX-License-Identifier: Apache-2.0
// The kit for plug-in authors: cursor, rings, settings, error texts, table.
#include <atomic>
#include <stdexcept>
#include <thread>

#include <gtest/gtest.h>

#include <nixl/sdk/completion_ring.hpp>
#include <nixl/sdk/error_text.hpp>
#include <nixl/sdk/host.hpp>
#include <nixl/sdk/op_cursor.hpp>
#include <nixl/sdk/table.hpp>

#include "tests/support/fake_host.h"
#include "tests/unit/backends/queue_rig.h"

namespace nixl::test::host_queues {
namespace {

using sdk::CompletionRing;
using sdk::OpCursor;
using sdk::SharedCompletionRing;
using sdk::whole;

std::vector<std::pair<uint64_t, uint64_t>> walk(OpCursor at) {
    std::vector<std::pair<uint64_t, uint64_t>> offsets;
    for (; !at.done(); at.next())
        offsets.emplace_back(at.source_offset(), at.target_offset());
    return offsets;
}

TEST(OpCursor, RunsWithStrides_givesEachElementInOrder) {
    Transfer transfer(nullptr, nullptr, {strided(100, 900, 8, 10, -20, 3), single(5, 6, 1)}, 1);

    const auto offsets = walk(OpCursor(transfer.rest()));

    const std::vector<std::pair<uint64_t, uint64_t>> expected{
        {100, 900}, {110, 880}, {120, 860}, {5, 6}};
    EXPECT_EQ(offsets, expected);
}

TEST(OpCursor, StartInTheMiddle_continuesWhereTheBatchSays) {
    Transfer transfer(nullptr, nullptr, {strided(0, 0, 4, 4, 8, 10), single(77, 88, 2)}, 1);
    const auto all = walk(OpCursor(transfer.rest()));

    for (uint64_t skipped = 1; skipped < transfer.count(); ++skipped) {
        transfer.submitted = skipped;
        const nixl_batch rest = transfer.rest();
        EXPECT_EQ(rest.first_element, skipped);
        const auto part = walk(OpCursor(rest));
        EXPECT_EQ(part,
                  decltype(all)(all.begin() + static_cast<std::ptrdiff_t>(skipped), all.end()));
    }
}

TEST(OpCursor, SkipAndNext_agree) {
    Transfer transfer(nullptr, nullptr,
                      {single(1, 2, 3), strided(10, 20, 4, 6, 8, 5), strided(0, 9, 1, -1, 2, 7)},
                      1);
    for (uint64_t count = 0; count <= transfer.count(); ++count) {
        OpCursor skipped(transfer.rest());
        OpCursor stepped(transfer.rest());
        skipped.skip(count);
        for (uint64_t i = 0; i < count; ++i)
            stepped.next();
        EXPECT_EQ(skipped.element(), count);
        EXPECT_EQ(walk(skipped), walk(stepped));
    }
}

TEST(CompletionRing, GoodNeighbours_areMerged) {
    CompletionRing ring(4);
    ring.add_whole(whole(7, 0, 2, 20));
    ring.add_whole(whole(7, 2, 3, 30));
    ring.add_whole(whole(8, 5, 1, 10)); // another tag
    ring.add_whole(whole(8, 7, 1, 10)); // a gap

    nixl_completion out[4];
    ASSERT_EQ(ring.take(out, 4), 3u);
    EXPECT_EQ(out[0].element_count, 5u);
    EXPECT_EQ(out[0].bytes, 50u);
    EXPECT_EQ(out[1].first_element, 5u);
    EXPECT_EQ(out[2].first_element, 7u);
    EXPECT_TRUE(ring.empty());
}

TEST(CompletionRing, ErrorsAndShortElements_stayAlone) {
    CompletionRing ring(8);
    ring.add_whole(whole(7, 0, 1, 10));
    ring.add_single(whole(7, 1, 1, 4)); // short
    ring.add_whole(whole(7, 2, 1, 10));
    ring.add_single(sdk::failed(7, 3, 1, NIXL_IO_ERROR, 5));

    nixl_completion out[8];
    EXPECT_EQ(ring.take(out, 8), 4u);
    EXPECT_EQ(out[3].detail, 5);
}

TEST(CompletionRing, Full_refusesAndLosesNothing) {
    CompletionRing ring(2);
    EXPECT_TRUE(ring.add_whole(whole(1, 0, 1, 1)));
    EXPECT_TRUE(ring.add_whole(whole(2, 0, 1, 1)));
    EXPECT_TRUE(ring.full());
    EXPECT_FALSE(ring.add_whole(whole(3, 0, 1, 1)));
    EXPECT_TRUE(ring.add_whole(whole(2, 1, 1, 1))) << "merging needs no room";

    nixl_completion out[1];
    ASSERT_EQ(ring.take(out, 1), 1u);
    EXPECT_EQ(out[0].tag, 1u);
    EXPECT_TRUE(ring.add_whole(whole(3, 0, 1, 1)));
}

TEST(SharedCompletionRing, ManyProducers_eachEntryArrivesOnce) {
    constexpr uint64_t PRODUCERS = 3, ENTRIES = 20000;
    SharedCompletionRing ring(64);
    std::vector<std::thread> threads;
    for (uint64_t tag = 0; tag < PRODUCERS; ++tag)
        threads.emplace_back([&ring, tag] {
            for (uint64_t i = 0; i < ENTRIES;)
                if (ring.add_whole(whole(tag, i, 1, tag + 1)))
                    ++i;
                else
                    std::this_thread::yield();
        });

    std::vector<uint64_t> next(PRODUCERS, 0), bytes(PRODUCERS, 0);
    for (uint64_t seen = 0; seen < PRODUCERS * ENTRIES;) {
        nixl_completion out[8];
        const uint32_t count = ring.take(out, 8);
        for (uint32_t i = 0; i < count; ++i) {
            ASSERT_EQ(out[i].first_element, next[out[i].tag]);
            next[out[i].tag] += out[i].element_count;
            bytes[out[i].tag] += out[i].bytes;
            seen += out[i].element_count;
        }
    }
    for (std::thread& thread : threads)
        thread.join();

    EXPECT_TRUE(ring.empty());
    for (uint64_t tag = 0; tag < PRODUCERS; ++tag)
        EXPECT_EQ(bytes[tag], ENTRIES * (tag + 1));
}

TEST(SharedCompletionRing, Full_refusesUntilTaken) {
    SharedCompletionRing ring(2);
    EXPECT_TRUE(ring.add_single(whole(1, 0, 1, 1)));
    EXPECT_TRUE(ring.add_single(whole(1, 1, 1, 1)));
    EXPECT_FALSE(ring.add_single(whole(1, 2, 1, 1)));
    nixl_completion out[4];
    EXPECT_EQ(ring.take(out, 4), 2u) << "single entries are not merged";
    EXPECT_TRUE(ring.add_single(whole(1, 2, 1, 1)));
}

TEST(SdkHost, Numbers_takeUnitsAndLimits) {
    FakeHost fake(0);
    fake.set("a", "128KiB").set("b", "2 MB").set("c", "7").set("d", "x7").set("e", "99999999999G");
    const sdk::Host host(fake.table());

    EXPECT_EQ(host.number("a", 1), 131072u);
    EXPECT_EQ(host.number("b", 1), 2u << 20);
    EXPECT_EQ(host.number("c", 1, 8, 20), 8u);
    EXPECT_EQ(host.number("absent", 5), 5u);
    EXPECT_EQ(host.number("d", 3), 3u);
    EXPECT_EQ(host.number("e", 4), 4u) << "2^64 does not hold it";
    EXPECT_TRUE(fake.logged("d: \"x7\" is no number; using 3"));
}

TEST(SdkHost, FlagsAndRates_refuseNonsenseWithAWord) {
    FakeHost fake(0);
    fake.set("on", "true").set("off", "0").set("odd", "maybe").set("half", "0.5").set("two", "2");
    const sdk::Host host(fake.table());

    EXPECT_TRUE(host.flag("on", false));
    EXPECT_FALSE(host.flag("off", true));
    EXPECT_TRUE(host.flag("odd", true));
    EXPECT_TRUE(fake.logged("odd: \"maybe\" is neither true nor false"));
    EXPECT_DOUBLE_EQ(host.rate("half", 0.0), 0.5);
    EXPECT_DOUBLE_EQ(host.rate("two", 0.25), 0.25);
}

TEST(SdkHost, OlderCore_fieldsBeyondItsSizeAreNotOffered) {
    FakeHost fake(2);
    fake.edit().struct_size = offsetof(nixl_host_v1, wake);
    const sdk::Host host(fake.table());

    EXPECT_NE(host.now_ns(), 0u);
    EXPECT_FALSE(host.can_wake());
    EXPECT_EQ(host.workers(), 0u);
    EXPECT_EQ(host.run([](void*) {}, nullptr), NIXL_UNSUPPORTED);
}

TEST(ErrorText, LongText_isCutAndTerminated) {
    char text[8];
    nixl_error_text error{text, sizeof text, 0, 0};
    EXPECT_EQ(sdk::fail(&error, NIXL_NOT_FOUND, 2, "%s", "a long reason"), NIXL_NOT_FOUND);
    EXPECT_STREQ(text, "a long ");
    EXPECT_EQ(error.detail, 2);
    EXPECT_EQ(sdk::fail(nullptr, NIXL_NO_SPACE, 0, "x"), NIXL_NO_SPACE);
}

TEST(ErrorText, Errno_saysTheSystemsWords) {
    char text[64];
    nixl_error_text error{text, sizeof text, 0, 0};
    sdk::fail_errno(&error, NIXL_NOT_FOUND, ENOENT, "open /x");
    EXPECT_STREQ(text, "open /x: No such file or directory");
}

struct Thrower {
    static constexpr const char* NAME = "thrower";
    struct Queue {
        Queue(Thrower&, uint32_t, void*) { throw std::bad_alloc(); }
        uint64_t submit(const nixl_batch&) noexcept { return 0; }
        uint32_t poll(nixl_completion*, uint32_t) noexcept { return 0; }
    };
    static nixl_status probe(const sdk::Host&, nixl_caps*, nixl_error_text*) {
        throw std::runtime_error("no luck");
    }
    explicit Thrower(const sdk::Host&) {}
};

TEST(Table, Exceptions_becomeCodes) {
    nixl_backend_v1 table{};
    table.struct_size = sizeof table;
    ASSERT_EQ(sdk::fill_table<Thrower>(nullptr, &table), NIXL_OK);
    char text[64];
    nixl_error_text error{text, sizeof text, 0, 0};
    nixl_caps caps{};
    caps.struct_size = sizeof caps;

    EXPECT_EQ(table.probe(nullptr, nullptr, &caps, &error), NIXL_INTERNAL);
    EXPECT_STREQ(text, "unexpected exception: no luck");

    void* instance = nullptr;
    void* queue = nullptr;
    ASSERT_EQ(table.open(nullptr, nullptr, &instance, &error), NIXL_OK);
    EXPECT_EQ(table.queue_open(instance, 0, nullptr, &queue, &error), NIXL_NO_MEMORY);
    table.close(instance);
}

TEST(Table, WhatTheClassHasNot_isNull) {
    nixl_backend_v1 table{};
    table.struct_size = sizeof table;
    ASSERT_EQ(sdk::fill_table<Thrower>(nullptr, &table), NIXL_OK);
    EXPECT_EQ(table.attach, nullptr);
    EXPECT_EQ(table.cancel, nullptr);
    EXPECT_EQ(table.arm, nullptr);
    EXPECT_EQ(table.prepare, nullptr);
    EXPECT_EQ(table.connect, nullptr);
}

TEST(Table, OlderAndForeignCores_areRespected) {
    nixl_backend_v1 table{};
    table.struct_size = offsetof(nixl_backend_v1, cancel);
    table.cancel = reinterpret_cast<decltype(table.cancel)>(1); // must stay as it is
    EXPECT_EQ(sdk::fill_table<Thrower>(nullptr, &table), NIXL_OK);
    EXPECT_EQ(table.struct_size, offsetof(nixl_backend_v1, cancel));
    EXPECT_EQ(table.cancel, reinterpret_cast<decltype(table.cancel)>(1));

    table.struct_size = offsetof(nixl_backend_v1, submit);
    EXPECT_EQ(sdk::fill_table<Thrower>(nullptr, &table), NIXL_UNSUPPORTED);

    FakeHost fake(0);
    fake.edit().abi = NIXL_BACKEND_ABI + 1;
    table.struct_size = sizeof table;
    EXPECT_EQ(sdk::fill_table<Thrower>(fake.table(), &table), NIXL_UNSUPPORTED);
}

} // namespace
} // namespace nixl::test::host_queues
