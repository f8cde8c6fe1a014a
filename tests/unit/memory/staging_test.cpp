// SPDX-License-Identifier: Apache-2.0
// Staging memory: bounded, reused, given back.
#include "memory/staging.h"

#include <gtest/gtest.h>

#include "null_host.h"

namespace nixl::core {
namespace {

class StagingTest : public ::testing::Test {
  protected:
    NullHost host_;
    const nixl_host_v1 table_ = host_.table();
    BackendRegistry registry_{table_};
    DeviceMemory gpus_{{false, 0}};
    RegionTable regions_{registry_, gpus_};
    StagingPool pool_{regions_, 1u << 20};
};

TEST_F(StagingTest, BlockOfAnotherKind_isNotHandedOut) {
    bool hit = false;
    Region* host = pool_.take(5000, NIXL_KIND_HOST, &hit).value();
    pool_.give(*host);

    Region* pinned = pool_.take(5000, NIXL_KIND_PINNED, &hit).value();

    EXPECT_FALSE(hit);
    EXPECT_EQ(pinned->kind_class.kind, uint32_t{NIXL_KIND_PINNED});
    pool_.give(*pinned);
    EXPECT_EQ(pool_.take(5000, NIXL_KIND_HOST, &hit).value(), host);
    EXPECT_TRUE(hit);
}

TEST_F(StagingTest, GivenBlock_isTakenAgain) {
    bool hit = true;
    Region* first = pool_.take(5000, NIXL_KIND_HOST, &hit).value();
    EXPECT_FALSE(hit);
    EXPECT_EQ(first->bytes, 8192u) << "whole pages";
    pool_.give(*first);

    EXPECT_EQ(pool_.take(8000, NIXL_KIND_HOST, &hit).value(), first);
    EXPECT_TRUE(hit);
}

// Proves: S-033
TEST_F(StagingTest, Limit_isAgainUntilSomethingComesBack) {
    bool hit = false;
    Region* most = pool_.take(1u << 20, NIXL_KIND_HOST, &hit).value();

    const auto more = pool_.take(4096, NIXL_KIND_HOST, &hit);
    ASSERT_FALSE(more.ok());
    EXPECT_EQ(more.error().code, Code::AGAIN);
    pool_.give(*most);
    EXPECT_EQ(pool_.trim(), 1u << 20);
    EXPECT_TRUE(pool_.take(4096, NIXL_KIND_HOST, &hit).ok());
}

// Blocks of another size that nobody uses must not stand in the way for ever.
TEST_F(StagingTest, CachedBlocksOfOtherSizes_giveWay) {
    bool hit = false;
    for (const uint64_t bytes : {512u << 10, 256u << 10, 128u << 10})
        pool_.give(*pool_.take(bytes, NIXL_KIND_HOST, &hit).value());

    const auto large = pool_.take(768u << 10, NIXL_KIND_HOST, &hit);

    ASSERT_TRUE(large.ok()) << large.error().message;
    EXPECT_FALSE(hit);
    EXPECT_LE(pool_.bytes(), 1u << 20);
    EXPECT_TRUE(pool_.take(128u << 10, NIXL_KIND_HOST, &hit).ok());
    EXPECT_TRUE(hit) << "no more than needed was given up";
    EXPECT_EQ(pool_.take(512u << 10, NIXL_KIND_HOST, &hit).error().code, Code::AGAIN);
}

TEST_F(StagingTest, BlockLargerThanTheLimit_isNothingToWaitFor) {
    bool hit = false;
    const auto never = pool_.take((1u << 20) + 1, NIXL_KIND_HOST, &hit);
    ASSERT_FALSE(never.ok());
    EXPECT_EQ(never.error().code, Code::NO_MEMORY);
    EXPECT_NE(never.error().message.find("pool_size allows 1048576"), std::string::npos);
    EXPECT_EQ(pool_.take(UINT64_MAX, NIXL_KIND_HOST, &hit).error().code, Code::NO_MEMORY);
}

TEST_F(StagingTest, MemoryForBackends_comesBackByItsAddress) {
    void* memory = pool_.take_memory(100, NIXL_KIND_HOST);
    ASSERT_NE(memory, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % 4096, 0u);
    pool_.give_memory(memory);
    pool_.give_memory(memory); // twice: nothing happens
    EXPECT_EQ(pool_.trim(), 4096u);
    EXPECT_EQ(pool_.bytes(), 0u);
}

} // namespace
} // namespace nixl::core
