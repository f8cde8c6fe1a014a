// SPDX-License-Identifier: Apache-2.0
// Regions: making, counting users, freeing, files and devices.
#include "memory/region_table.h"

#include <cstdlib>
#include <fstream>
#include <thread>

#include <fstream>
#include <string>

#include <unistd.h>

#include <gtest/gtest.h>

#include "null_host.h"

namespace nixl::core {
namespace {

class RegionTableTest : public ::testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(registry_.add(stub_.table(), BackendOrigin::ADDED, "test", nullptr).ok());
        std::string pattern = ::testing::TempDir() + "nixl-regions-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
    }
    void TearDown() override { (void)!::system(("rm -rf " + folder_).c_str()); }

    std::string file(const std::string& name, size_t bytes) {
        std::ofstream(folder_ + "/" + name) << std::string(bytes, 'x');
        return folder_ + "/" + name;
    }

    NullHost host_;
    const nixl_host_v1 table_ = host_.table();
    StubBackend stub_;
    BackendRegistry registry_{table_};
    DeviceMemory gpus_{{false, 0}};
    RegionTable regions_{registry_, gpus_};
    std::string folder_;
    char memory_[64] = {};
};

TEST_F(RegionTableTest, Handle_goesStaleWithItsRegion) {
    const nixl_buffer first = regions_.wrap(memory_, 64, NIXL_KIND_HOST, -1, 0).value();
    ASSERT_TRUE(regions_.release_unused(first).ok());
    const nixl_buffer second = regions_.wrap(memory_, 64, NIXL_KIND_HOST, -1, 0).value();

    EXPECT_EQ(regions_.find(first), nullptr);
    EXPECT_NE(regions_.find(second), nullptr);
    EXPECT_EQ(regions_.release_unused(first).error().code, Code::STALE);
    EXPECT_EQ(regions_.find({1u << 30, 1}), nullptr);
}

// Proves: S-081
TEST_F(RegionTableTest, RegionInUse_isBusyAndStaysAsItWas) {
    const nixl_buffer buffer = regions_.wrap(memory_, 64, NIXL_KIND_HOST, -1, 0).value();
    Region& region = *regions_.find(buffer);
    ASSERT_TRUE(region.add_user(buffer.generation));

    EXPECT_EQ(regions_.release_unused(buffer).error().code, Code::BUSY);

    ASSERT_TRUE(region.add_user(buffer.generation)) << "still usable";
    region.remove_user();
    region.remove_user();
    EXPECT_TRUE(regions_.release_unused(buffer).ok());
    EXPECT_FALSE(region.add_user(buffer.generation)) << "no user after it was freed";
    EXPECT_EQ(region.users(), 0u);
}

TEST_F(RegionTableTest, BadMemory_isRefusedWithTheReason) {
    EXPECT_EQ(regions_.wrap(nullptr, 1, NIXL_KIND_HOST, -1, 0).error().code,
              Code::INVALID_ARGUMENT);
    EXPECT_TRUE(regions_.wrap(nullptr, 0, NIXL_KIND_HOST, -1, 0).ok());
    EXPECT_EQ(regions_.wrap(memory_, UINT64_MAX, NIXL_KIND_HOST, -1, 0).error().code,
              Code::INVALID_ARGUMENT);
    EXPECT_EQ(regions_.wrap(memory_, 1, 99, -1, 0).error().code, Code::INVALID_ARGUMENT);
    EXPECT_EQ(regions_.wrap(memory_, 1, NIXL_KIND_DEVICE, 0, 0).error().code, Code::UNSUPPORTED);
    EXPECT_EQ(regions_.allocate(0, NIXL_KIND_HOST, -1, 0).error().code, Code::INVALID_ARGUMENT);
    EXPECT_EQ(regions_.allocate(UINT64_MAX, NIXL_KIND_HOST, -1, 0).error().code, Code::NO_MEMORY);
}

TEST_F(RegionTableTest, Registration_isMadeOnceAndUndoneWithTheRegion) {
    const nixl_buffer buffer = regions_.wrap(memory_, 64, NIXL_KIND_HOST, -1, 0).value();
    Backend& backend = *registry_.backends()[0];
    bool hit = true;

    ASSERT_TRUE(regions_.ensure_registered(*regions_.find(buffer), backend, &hit).ok());
    EXPECT_FALSE(hit);
    ASSERT_TRUE(regions_.ensure_registered(*regions_.find(buffer), backend, &hit).ok());
    EXPECT_TRUE(hit);
    EXPECT_EQ(stub_.attached, 1u);
    ASSERT_TRUE(regions_.release_unused(buffer).ok());
    EXPECT_EQ(stub_.detached, 1u);
}

TEST_F(RegionTableTest, File_hasItsSizeFromTheOffset) {
    const std::string path = file("data", 1000);

    const auto buffer = regions_.open_storage({path, NIXL_KIND_FILE, 100, 0, 0});

    ASSERT_TRUE(buffer.ok());
    EXPECT_EQ(regions_.find(buffer.value())->bytes, 900u);
    EXPECT_EQ(regions_.open_storage({path, NIXL_KIND_FILE, 1001, 0, 0}).error().code,
              Code::OUT_OF_RANGE);
    EXPECT_EQ(regions_.open_storage({path, NIXL_KIND_FILE, UINT64_MAX, 2, 0}).error().code,
              Code::OUT_OF_RANGE);
}

TEST_F(RegionTableTest, FilesThatCannotBeOpened_areNamedWithTheSystemsWords) {
    const auto missing = regions_.open_storage({folder_ + "/none", NIXL_KIND_FILE, 0, 0, 0});
    EXPECT_EQ(missing.error().code, Code::NOT_FOUND);
    EXPECT_NE(missing.error().message.find("/none: No such file"), std::string::npos);
    EXPECT_FALSE(missing.error().hint.empty());
    EXPECT_EQ(
        regions_.open_storage({folder_, NIXL_KIND_FILE, 0, 0, NIXL_BUFFER_READ_ONLY}).error().code,
        Code::INVALID_ARGUMENT)
        << "a folder";
    EXPECT_EQ(regions_
                  .open_storage({file("x", 1), NIXL_KIND_FILE, 0, 0,
                                 NIXL_BUFFER_READ_ONLY | NIXL_BUFFER_TRUNCATE})
                  .error()
                  .code,
              Code::INVALID_ARGUMENT);
}

TEST_F(RegionTableTest, UsersOfAStaleHandle_neverReachTheNextRegion) {
    // One thread takes users with handles that go stale under it; the count must come out even.
    std::atomic<uint64_t> current{0};
    std::atomic<bool> stop{false};
    std::thread user([&] {
        while (!stop.load()) {
            const uint64_t handle = current.load();
            const auto generation = static_cast<uint32_t>(handle >> 32);
            Region* region = regions_.find({static_cast<uint32_t>(handle), generation});
            if (region != nullptr && region->add_user(generation))
                region->remove_user();
        }
    });
    uint32_t busy = 0;
    for (int i = 0; i < 20'000; ++i) {
        const nixl_buffer buffer = regions_.wrap(memory_, 64, NIXL_KIND_HOST, -1, 0).value();
        current.store(static_cast<uint64_t>(buffer.generation) << 32 | buffer.index);
        while (!regions_.release_unused(buffer).ok())
            ++busy;
    }
    stop.store(true);
    user.join();

    EXPECT_EQ(regions_.wrap(memory_, 64, NIXL_KIND_HOST, -1, 0).value().index, 0u);
    RecordProperty("busy", static_cast<int>(busy));
}

/// Of this process, as the kernel counts them.
uint64_t locked_kib() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.rfind("VmLck:", 0) == 0)
            return std::stoull(line.substr(6));
    return 0;
}

TEST(LockedPages, UnlockedRange_leavesWhatOthersLocked) {
    const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
    Descriptor memfd;
    const Mapping memory = std::move(Mapping::shareable(8 * page, &memfd).value());
    LockedPages pages;
    const uint64_t before = locked_kib(), kib = page / 1024;
    if (!pages.lock(memory.data(), 5 * page))
        GTEST_SKIP() << "no memory can be locked here";
    if (locked_kib() == before)
        GTEST_SKIP() << "mlock() does nothing here, as under some sanitizers";
    ASSERT_TRUE(pages.lock(memory.data() + 100, 10));
    ASSERT_TRUE(pages.lock(memory.data() + 2 * page, page));
    ASSERT_TRUE(pages.lock(memory.data() + 4 * page, 4 * page));
    EXPECT_EQ(locked_kib() - before, 8 * kib);

    pages.unlock(memory.data(), 5 * page);
    EXPECT_EQ(locked_kib() - before, 6 * kib) << "the second and the fourth page are free";
    pages.unlock(memory.data(), 5 * page); // twice: nothing happens
    pages.unlock(memory.data() + 100, 10);
    pages.unlock(memory.data() + 4 * page, 4 * page);
    EXPECT_EQ(locked_kib() - before, kib);
    pages.unlock(memory.data() + 2 * page, page);
    EXPECT_EQ(locked_kib(), before);
}

} // namespace
} // namespace nixl::core
