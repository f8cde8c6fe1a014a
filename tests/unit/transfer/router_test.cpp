// SPDX-License-Identifier: Apache-2.0
// Routes, and why they are not better.
#include "transfer/route.h"

#include <gtest/gtest.h>

#include "null_host.h"

namespace nixl::core {
namespace {

constexpr uint16_t HOST = NIXL_KIND_HOST, PINNED = NIXL_KIND_PINNED, FILE_KIND = NIXL_KIND_FILE,
                   DEVICE = NIXL_KIND_DEVICE;

class RouterTest : public ::testing::Test {
  protected:
    void add(StubBackend& backend) {
        ASSERT_TRUE(
            registry_.add(backend.table(), BackendOrigin::ADDED, backend.name, nullptr).ok());
    }
    Result<const Route*> find(RegionClass source, RegionClass target, uint64_t bytes = 1 << 20) {
        const uint32_t from = router_.intern(source).value(), to = router_.intern(target).value();
        return router_.find(from, to, bytes);
    }

    NullHost host_;
    const nixl_host_v1 table_ = host_.table();
    BackendRegistry registry_{table_};
    Router router_{registry_};
};

TEST_F(RouterTest, OneBackendThatCan_isADirectRoute) {
    StubBackend files{"files", {{HOST, FILE_KIND, 0, 100, 2}}};
    add(files);

    const auto route = find({HOST}, {FILE_KIND});

    ASSERT_TRUE(route.ok());
    EXPECT_TRUE(route.value()->direct());
    EXPECT_EQ(route.value()->name(), "files");
    EXPECT_TRUE(route.value()->reasons.empty());
}

TEST_F(RouterTest, NoBackendForThePair_goesThroughHostMemoryAndSaysWhy) {
    StubBackend files{"files", {{HOST, FILE_KIND, 0, 100, 2}, {FILE_KIND, HOST, 0, 100, 4}}};
    add(files);

    const auto route = find({FILE_KIND}, {FILE_KIND});

    ASSERT_TRUE(route.ok());
    EXPECT_EQ(route.value()->leg_count, 2u);
    EXPECT_EQ(route.value()->name(), "files+files");
    EXPECT_DOUBLE_EQ(route.value()->bytes_per_ns, 2) << "the slowest leg sets the rate";
    ASSERT_EQ(route.value()->reasons.size(), 1u);
    EXPECT_EQ(route.value()->reasons[0], "no backend copies file -> file directly");
}

TEST_F(RouterTest, StagingMemoryMayHaveToBePageLocked) {
    StubBackend files{"files", {{FILE_KIND, PINNED, 0, 100, 4}, {FILE_KIND, HOST, 0, 100, 4}}};
    StubBackend gpu{"gpu", {{PINNED, DEVICE, 0, 100, 50}}};
    add(files);
    add(gpu);

    const auto route = find({FILE_KIND}, {DEVICE});

    ASSERT_TRUE(route.ok());
    EXPECT_EQ(route.value()->name(), "files+gpu");
    EXPECT_EQ(route.value()->legs[0].target_kind, uint32_t{PINNED});
}

TEST_F(RouterTest, ThreeLegs_whereTwoDoNotReach) {
    StubBackend link{"link", {{HOST, HOST, NIXL_PAIR_SOURCE_REMOTE, 100, 5}}};
    StubBackend gpu{"gpu", {{PINNED, DEVICE, 0, 100, 50}}};
    StubBackend copies{"copies", {{HOST, PINNED, 0, 20, 10}}};
    add(link);
    add(gpu);
    const RegionClass remote{HOST, -1, 1u << 0};
    EXPECT_FALSE(find(remote, {DEVICE}).ok());
    add(copies);

    const auto route = find(remote, {DEVICE});

    ASSERT_TRUE(route.ok());
    EXPECT_EQ(route.value()->name(), "link+copies+gpu");
    EXPECT_DOUBLE_EQ(route.value()->latency_ns, 220);
    EXPECT_DOUBLE_EQ(route.value()->bytes_per_ns, 5);
}

TEST_F(RouterTest, ThreeFastLegs_areTakenBeforeTwoSlowOnes) {
    StubBackend slow{"slow", {{FILE_KIND, HOST, 0, 10, 5}, {HOST, DEVICE, 0, 10, 1}}};
    StubBackend fast{"fast", {{HOST, PINNED, 0, 1000, 10}, {PINNED, DEVICE, 0, 1000, 50}}};
    add(slow);
    add(fast);

    EXPECT_EQ(find({FILE_KIND}, {DEVICE}, 1u << 10).value()->name(), "slow+slow");
    EXPECT_EQ(find({FILE_KIND}, {DEVICE}, 64u << 20).value()->name(), "slow+fast+fast");
}

TEST_F(RouterTest, SizeDecidesBetweenQuickAndFast) {
    StubBackend quick{"quick", {{HOST, HOST, 0, 10, 1}}};
    StubBackend fast{"fast", {{HOST, HOST, 0, 10'000, 50}}};
    add(quick);
    add(fast);

    EXPECT_EQ(find({HOST}, {HOST}, 64).value()->name(), "quick");
    EXPECT_EQ(find({HOST}, {HOST}, 1u << 30).value()->name(), "fast");
}

// Proves: S-222
TEST_F(RouterTest, BetterBackendThatIsOff_isNamedAsTheReason) {
    StubBackend slow{"slow", {{HOST, HOST, 0, 10, 1}}};
    StubBackend better{
        "better", {{HOST, HOST, 0, 1, 90}}, NIXL_UNSUPPORTED, "/dev/better is missing"};
    add(slow);
    add(better);

    const auto route = find({HOST}, {HOST});

    ASSERT_TRUE(route.ok());
    EXPECT_EQ(route.value()->name(), "slow");
    ASSERT_EQ(route.value()->reasons.size(), 1u);
    EXPECT_NE(route.value()->reasons[0].find("/dev/better is missing"), std::string::npos);
}

TEST_F(RouterTest, NoPath_isUnsupportedAndSaysBetweenWhat) {
    const auto route = find({HOST}, {DEVICE});

    ASSERT_FALSE(route.ok());
    EXPECT_EQ(route.error().code, Code::UNSUPPORTED);
    EXPECT_NE(route.error().message.find("host -> device"), std::string::npos);
}

TEST_F(RouterTest, PeersMemory_isReachedOnlyByBackendsThatImportedIt) {
    StubBackend local{"local", {{HOST, HOST, 0, 1, 90}}};
    StubBackend link{"link", {{HOST, HOST, NIXL_PAIR_TARGET_REMOTE, 100, 5}}};
    add(local);
    add(link);
    const RegionClass remote{HOST, -1, 1u << 1}; // imported by the second backend

    EXPECT_EQ(find({HOST}, remote).value()->name(), "link");
    EXPECT_EQ(find({HOST}, {HOST}).value()->name(), "local");
    const RegionClass elsewhere{HOST, -1, 1u << 5};
    EXPECT_FALSE(find({HOST}, elsewhere).ok());
}

TEST_F(RouterTest, SameClass_hasOneNumber_andTheirCountIsBounded) {
    EXPECT_EQ(router_.intern({HOST}).value(), router_.intern({HOST}).value());
    Result<uint32_t> last = 0u;
    for (int32_t device = 0; device < 100 && last.ok(); ++device)
        last = router_.intern({DEVICE, device, 0});
    ASSERT_FALSE(last.ok());
    EXPECT_EQ(last.error().code, Code::AGAIN);
}

} // namespace
} // namespace nixl::core
