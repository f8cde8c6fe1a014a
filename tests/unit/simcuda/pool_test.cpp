// SPDX-License-Identifier: Apache-2.0
// Pools: memory that is open to its own GPU until the pool lets others in.
#include "rig.h"

namespace nixl::test {
namespace {

Pool pool_of(const Rig& rig, Address address) {
    Pool pool = nullptr;
    PointerAttribute which = PointerAttribute::POOL;
    void* out = &pool;
    EXPECT_EQ(rig.call.pointer_attributes(1, &which, &out, address), CuResult::SUCCESS);
    return pool;
}

TEST(SimulatedPool, Memory_isItsOwnGpusUntilOthersAreLetIn) {
    on_gpus([](Rig& rig) {
        Address pooled = 0, far = 0;
        EXPECT_EQ(rig.call.pool_alloc(&pooled, 64, rig.stream()), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.fill(pooled, 'p', 64, nullptr), CuResult::SUCCESS);
        EXPECT_EQ(rig.read(pooled, 4), "pppp");
        const Current other(rig, rig.contexts[1]);
        EXPECT_EQ(rig.call.memory_alloc(&far, 64), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.copy(far, pooled, 64, nullptr), CuResult::INVALID_VALUE);

        const Location second = {1, 1};
        const Access access = {second, 3};
        const Pool pool = pool_of(rig, pooled);
        int now = -1;
        EXPECT_EQ(rig.call.pool_access(&now, pool, &second), CuResult::SUCCESS);
        EXPECT_EQ(now, 0);
        EXPECT_EQ(rig.call.pool_let_in(pool, &access, 1), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.pool_access(&now, pool, &second), CuResult::SUCCESS);
        EXPECT_EQ(now, 3);
        EXPECT_EQ(rig.call.copy(far, pooled, 64, nullptr), CuResult::SUCCESS);
        EXPECT_EQ(rig.read(far, 4), "pppp");
        EXPECT_EQ(rig.call.memory_free(pooled), CuResult::SUCCESS);
    });
}

TEST(SimulatedPool, WhatIsNone_isRefused) {
    on_gpus([](Rig& rig) {
        const Address plain = rig.device_bytes(64);
        EXPECT_EQ(pool_of(rig, plain), nullptr);
        int now = 0;
        const Location first = {1, 0}, none = {1, 7};
        const Access access = {first, 3};
        EXPECT_EQ(rig.call.pool_access(&now, nullptr, &first), CuResult::INVALID_VALUE);
        EXPECT_EQ(rig.call.pool_let_in(nullptr, &access, 1), CuResult::INVALID_VALUE);
        Address pooled = 0;
        EXPECT_EQ(rig.call.pool_alloc(&pooled, 64, nullptr), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.pool_access(&now, pool_of(rig, pooled), &none), CuResult::INVALID_VALUE);
        EXPECT_EQ(rig.call.pool_alloc(&pooled, 64, reinterpret_cast<Stream>(0x1234)),
                  CuResult::INVALID_HANDLE);
    });
}

} // namespace
} // namespace nixl::test
