// SPDX-License-Identifier: Apache-2.0
// Pools from below: whose registrations their buffers use, in which order memory is taken apart,
// and what programs' allocators are asked for.
#include "memory/pools.h"

#include <cstdlib>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "memory/staging.h"
#include "null_host.h"

namespace nixl::core {
namespace {

/// What happened, in order: "attach transport 256", "detach stub", "free".
std::vector<std::string>& events() {
    static std::vector<std::string> all;
    return all;
}

size_t count(const std::string& event) {
    return static_cast<size_t>(std::count(events().begin(), events().end(), event));
}

/// A backend that notes what it is given; with a name of its own and, as a transport, exports.
nixl_backend_v1 noting(StubBackend& stub, bool exports) {
    nixl_backend_v1 table = stub.table();
    table.attach = [](void* self, const nixl_region_desc* desc, void** out, nixl_error_text*) {
        auto& me = *static_cast<StubBackend*>(self);
        events().push_back("attach " + std::string(me.name) + " " + std::to_string(desc->bytes));
        ++me.attached;
        *out = static_cast<char*>(self) + me.attached; // another one each time
        return nixl_status{NIXL_OK};
    };
    table.detach = [](void* self, void*) {
        events().push_back("detach " + std::string(static_cast<StubBackend*>(self)->name));
    };
    if (exports)
        table.export_region = [](void*, void*, void*, uint64_t*, nixl_error_text*) {
            return nixl_status{NIXL_OK};
        };
    return table;
}

class PoolsTest : public ::testing::Test {
  protected:
    PoolsTest() {
        events().clear();
        transport_.name = "transport";
        EXPECT_TRUE(
            registry_.add(noting(stub_, false), BackendOrigin::ADDED, "test", nullptr).ok());
        EXPECT_TRUE(
            registry_.add(noting(transport_, true), BackendOrigin::ADDED, "test", nullptr).ok());
    }
    ~PoolsTest() override {
        regions_.detach_all();     // parts go back to their pools
        for (void* address : out_) // quarantined
            std::free(address);    // allow(naked-new): an allocator is where it belongs
    }

    nixl_pool make(uint64_t bytes) {
        const nixl_buffer whole =
            regions_.allocate(bytes, NIXL_KIND_HOST, -1, 0, RegionTable::Use::POOL).value();
        return pools_.create(*regions_.find(whole)).value();
    }
    Region& part(nixl_pool pool, uint64_t bytes) {
        return *regions_.find(pools_.allocate(pool, bytes, 0).value());
    }
    static nixl_buffer handle_of(const Region& region) {
        return {region.index, region.generation.load()};
    }
    void* registered(Region& region, size_t backend) {
        bool hit = false;
        EXPECT_TRUE(regions_.ensure_registered(region, *registry_.backends()[backend], &hit).ok());
        return region.registration(static_cast<uint32_t>(backend));
    }
    /// Memory comes from the program from here on.
    void use_allocator() {
        nixl_allocator table = NIXL_INIT(nixl_allocator);
        table.kind = NIXL_KIND_HOST;
        table.user = &out_;
        table.allocate = [](void* user, uint64_t bytes) {
            events().push_back("allocate");
            // allow(naked-new): an allocator is where it belongs
            return *static_cast<std::set<void*>*>(user)->insert(std::malloc(bytes)).first;
        };
        table.free = [](void* user, void* address, uint64_t) {
            events().push_back("free");
            static_cast<std::set<void*>*>(user)->erase(address);
            std::free(address); // allow(naked-new): an allocator is where it belongs
        };
        ASSERT_TRUE(regions_.allocators().add("mine", table).ok());
        regions_.allocators().choose("mine");
    }

    std::set<void*> out_; // of the allocator
    NullHost host_;
    const nixl_host_v1 table_ = host_.table();
    StubBackend stub_, transport_;
    BackendRegistry registry_{table_};
    DeviceMemory gpus_{{false, 0}};
    RegionTable regions_{registry_, gpus_};
    Pools pools_{regions_};
};

TEST_F(PoolsTest, Parts_useTheRegistrationOfTheWhole) {
    const nixl_pool pool = make(1 << 20);
    std::vector<Region*> parts;
    for (int i = 0; i < 10; ++i) {
        parts.push_back(&part(pool, 1000));
        EXPECT_EQ(registered(*parts.back(), 0), registered(*parts.front(), 0));
    }
    for (Region* each : parts)
        EXPECT_TRUE(regions_.release_unused(handle_of(*each)).ok());
    EXPECT_EQ(events(), std::vector<std::string>{"attach stub 1048576"});
    EXPECT_TRUE(pools_.release(pool).ok());
    EXPECT_EQ(events().back(), "detach stub");
}

TEST_F(PoolsTest, Transports_getThePartItself) {
    const nixl_pool pool = make(1 << 20);
    Region &first = part(pool, 1000), &second = part(pool, 2000);
    void* const of_first = registered(first, 1);
    EXPECT_NE(registered(second, 1), of_first);
    EXPECT_EQ(events(),
              (std::vector<std::string>{"attach transport 1000", "attach transport 2000"}));
    EXPECT_TRUE(regions_.release_unused(handle_of(first)).ok());
    EXPECT_EQ(count("detach transport"), 1u);
}

TEST_F(PoolsTest, Closing_takesPartsAndTwinsApartBeforeTheirMemory) {
    use_allocator();
    const nixl_pool pool = make(1 << 20);
    (void)registered(part(pool, 1000), 1);
    const nixl_buffer buffer = regions_.allocate(100, NIXL_KIND_HOST, -1, 0).value();
    (void)registered(*regions_.locked_twin(*regions_.find(buffer)).value(), 0);

    regions_.detach_all();

    ASSERT_EQ(count("free"), 2u);
    EXPECT_EQ(events()[events().size() - 2], "free");
    EXPECT_EQ(events().back(), "free");
    EXPECT_EQ(count("detach transport") + count("detach stub"), 2u);
}

TEST_F(PoolsTest, TwinOfAPart_isThatOfThePool) {
    const nixl_pool pool = make(1 << 20);
    Region &first = part(pool, 1000), &second = part(pool, 1000);
    Region* const twin = regions_.locked_twin(first).value();
    EXPECT_EQ(regions_.locked_twin(second).value(), twin);
    EXPECT_EQ(twin->bytes, 1u << 20);
    EXPECT_EQ(twin->kind_class.kind, uint32_t{NIXL_KIND_PINNED});
    const nixl_buffer handle = handle_of(*twin);
    for (Region* each : {&first, &second})
        EXPECT_TRUE(regions_.release_unused(handle_of(*each)).ok());
    EXPECT_NE(regions_.find(handle), nullptr);
    EXPECT_TRUE(pools_.release(pool).ok());
    EXPECT_EQ(regions_.find(handle), nullptr);
}

TEST_F(PoolsTest, QuarantinedPart_keepsTheMemoryOfThePool) {
    use_allocator();
    const nixl_pool pool = make(1 << 20);
    Region &stuck = part(pool, 1000), &other = part(pool, 1000);
    (void)registered(stuck, 0);
    (void)registered(other, 1);
    regions_.quarantine(stuck);
    regions_.detach_all();
    EXPECT_EQ(count("free"), 0u) << "an operation may still write there";
    EXPECT_EQ(count("detach stub"), 0u);
    EXPECT_EQ(count("detach transport"), 1u);
}

TEST_F(PoolsTest, FreedWhileOthersAllocate_isStaleForThem) {
    for (int round = 0; round < 10; ++round) {
        const nixl_pool pool = make(1 << 16);
        std::vector<std::thread> threads;
        for (int t = 0; t < 3; ++t)
            threads.emplace_back([&] {
                for (;;) {
                    auto buffer = pools_.allocate(pool, 100, 0);
                    if (!buffer.ok()) {
                        EXPECT_EQ(buffer.error().code, Code::STALE);
                        return;
                    }
                    EXPECT_TRUE(regions_.release_unused(buffer.value()).ok());
                }
            });
        while (!pools_.release(pool).ok())
            std::this_thread::yield();
        for (std::thread& thread : threads)
            thread.join();
    }
}

TEST_F(PoolsTest, MorePoolsThanThereAreSlots_areRefused) {
    std::vector<nixl_pool> pools;
    for (uint32_t i = 0; i < Pools::MAX_POOLS; ++i)
        pools.push_back(make(4096));
    const nixl_buffer whole =
        regions_.allocate(4096, NIXL_KIND_HOST, -1, 0, RegionTable::Use::POOL).value();
    EXPECT_EQ(pools_.create(*regions_.find(whole)).error().code, Code::AGAIN);
    EXPECT_TRUE(pools_.release(pools.back()).ok());
    EXPECT_TRUE(pools_.create(*regions_.find(whole)).ok());
}

// Proves: C-44
TEST_F(PoolsTest, Backends_neverGetWhatTheProgramGave) {
    use_allocator();
    StagingPool staging(regions_, 8192);
    bool hit = false;
    Region* const ours = staging.take(4096, NIXL_KIND_HOST, &hit).value();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(ours->base()) % 4096, 0u) << "for direct I/O";
    staging.give(*ours);
    void* const theirs = staging.take_memory(4096, NIXL_KIND_HOST);
    ASSERT_NE(theirs, nullptr);
    EXPECT_NE(theirs, ours->base());
    EXPECT_EQ(events(), std::vector<std::string>{"allocate"});

    // Nor does room for them come from it: giving it back would run the program's code.
    EXPECT_EQ(staging.take_memory(4096, NIXL_KIND_HOST), nullptr);
    EXPECT_EQ(count("free"), 0u);
    staging.give_memory(theirs);
    EXPECT_EQ(staging.trim(), 8192u);
    EXPECT_EQ(count("free"), 1u);
}

} // namespace
} // namespace nixl::core
