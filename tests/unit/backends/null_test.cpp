// SPDX-License-Identifier: Apache-2.0
// The backend that moves nothing: only on request, one answer per span, every element counted.
#include <gtest/gtest.h>

#include "backends/builtin.h"
#include "tests/unit/backends/queue_rig.h"

namespace nixl::test::host_queues {
namespace {

TEST(NullBackend, NotAskedFor_saysHowToAsk) {
    FakeHost host(0);
    const nixl_backend_v1 table = load(nixl_backend_entry_null, host);
    char text[256] = "";
    nixl_error_text error{text, sizeof text, 0, 0};
    nixl_caps caps{};
    caps.struct_size = sizeof caps;
    void* instance = nullptr;

    EXPECT_EQ(table.probe(table.self, host.table(), &caps, &error), NIXL_UNSUPPORTED);
    EXPECT_STREQ(text, "null moves nothing; set null.enable=true to measure with it");
    EXPECT_EQ(caps.pair_count, 0u);
    EXPECT_EQ(table.open(table.self, host.table(), &instance, &error), NIXL_UNSUPPORTED);
}

TEST(NullBackend, AskedFor_offersEveryPairAndSaysSimulated) {
    FakeHost host(0);
    host.set("null.enable", "true");
    const nixl_backend_v1 table = load(nixl_backend_entry_null, host);
    nixl_caps caps{};
    caps.struct_size = sizeof caps;

    ASSERT_EQ(table.probe(table.self, host.table(), &caps, nullptr), NIXL_OK);

    EXPECT_EQ(caps.pair_count, 16u);
    EXPECT_NE(caps.flags & NIXL_CAP_SIMULATED, 0u);
}

TEST(NullBackend, ManyRuns_areOneCompletionWithAllBytes) {
    FakeHost host(0);
    host.set("null.enable", "true");
    QueueRig rig(host, load(nixl_backend_entry_null, host));
    Transfer transfer(nullptr, nullptr,
                      {strided(0, 0, 512, 1024, 1024, 1000), single(7, 9, 3), single(1, 2, 1)}, 42);

    EXPECT_EQ(rig.submit(transfer), 1002u);
    EXPECT_EQ(rig.poll(), 1u);

    EXPECT_EQ(transfer.ended, 1002u);
    EXPECT_EQ(transfer.bytes, 512u * 1000 + 3 + 1);
    EXPECT_TRUE(rig.arm()) << "nothing is left to poll";
}

TEST(NullBackend, NobodyPolls_pushesBackAndKeepsEverything) {
    FakeHost host(0);
    host.set("null.enable", "true");
    QueueRig rig(host, load(nixl_backend_entry_null, host));
    std::vector<std::unique_ptr<Transfer>> transfers;
    for (uint64_t tag = 0; tag < 1000; ++tag) {
        transfers.push_back(
            std::make_unique<Transfer>(nullptr, nullptr, std::vector{single(0, 0, 1)}, tag));
        if (rig.submit(*transfers.back()) == 0)
            break;
    }
    ASSERT_LT(transfers.size(), 1000u);
    EXPECT_FALSE(rig.arm());

    for (auto& transfer : transfers)
        EXPECT_TRUE(rig.finish(*transfer));
}

} // namespace
} // namespace nixl::test::host_queues
