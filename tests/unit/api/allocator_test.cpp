// SPDX-License-Identifier: Apache-2.0
// nixl::Allocator: what it serves, what it may refuse, and that memory goes back to where it came
// from.
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>

#include <gtest/gtest.h>
#include <nixl/nixl.h>
#include <unistd.h>

#include "thrown.h"

namespace {

using nixl::Code;
using nixl::MemoryType;

/// Keeps book of what is out.
class Counting : public nixl::Allocator {
  public:
    explicit Counting(size_t skew = 0) : skew_(skew) {}
    ~Counting() override {
        EXPECT_TRUE(out_.empty());
        ++gone;
    }

    void* allocate(size_t bytes) override {
        if (bytes > MOST)
            throw std::bad_alloc();
        if (bytes == MOST)
            return nullptr;
        // allow(naked-new): an allocator is where it belongs
        char* const address = static_cast<char*>(std::malloc(bytes + skew_)) + skew_;
        const std::lock_guard lock(mutex_);
        out_.emplace(address, bytes);
        ++served;
        return address;
    }
    void free(void* address, size_t bytes) noexcept override {
        const std::lock_guard lock(mutex_);
        const auto found = out_.find(address);
        ASSERT_NE(found, out_.end()) << "freed twice, or never given";
        EXPECT_EQ(found->second, bytes);
        // allow(naked-new): an allocator is where it belongs
        std::free(static_cast<char*>(address) - skew_);
        out_.erase(found);
    }
    size_t out() {
        const std::lock_guard lock(mutex_);
        return out_.size();
    }

    static constexpr size_t MOST = 64 << 20;
    int served = 0;
    inline static int gone = 0;

  private:
    const size_t skew_;
    std::mutex mutex_;
    std::map<void*, size_t> out_;
};

class ApiAllocator : public testing::Test {
  protected:
    ~ApiAllocator() override { nixl::finalize(); }

    static std::shared_ptr<Counting> use(const char* name, size_t skew = 0) {
        auto allocator = std::make_shared<Counting>(skew);
        nixl::register_allocator(name, allocator);
        nixl::configure("allocator", name);
        return allocator;
    }
};

// Proves: S-113 C-44
TEST_F(ApiAllocator, ServesHostBuffers_andGetsThemBack) {
    const auto mine = use("mine");
    {
        const nixl::Buffer host = nixl::Buffer::allocate(1000);
        const nixl::Buffer pinned = nixl::Buffer::allocate(2000, MemoryType::HOST_PINNED);
        EXPECT_EQ(mine->out(), 2u);
        for (size_t i = 0; i < 1000; ++i) // zeroed, as without an allocator
            ASSERT_EQ(static_cast<unsigned char*>(host.data())[i], 0);
        nixl::transfer(host, pinned);
    }
    EXPECT_EQ(mine->out(), 0u);
}

TEST_F(ApiAllocator, StagingMemory_comesFromItAsWell) {
    const auto mine = use("mine");
    nixl::configure("path_policy", "allow");
    char name[] = "/tmp/nixl-api-allocator-XXXXXX";
    const int file = ::mkstemp(name);
    ASSERT_EQ(::write(file, name, sizeof name), static_cast<ssize_t>(sizeof name));
    ::close(file);
    const std::string copy = std::string(name) + ".copy";
    nixl::transfer(nixl::Buffer::open_file(name),
                   nixl::Buffer::open_file(copy, nixl::OpenMode::CREATE, 0, sizeof name));
    EXPECT_EQ(mine->served, 1);
    nixl::finalize();
    EXPECT_EQ(mine->out(), 0u);
    ::unlink(name);
    ::unlink(copy.c_str());
}

TEST_F(ApiAllocator, PoolOnMemoryThatIsHardlyAligned_alignsItsBuffers) {
    const auto mine = use("mine", 16);
    nixl::MemoryPool pool(1 << 20, MemoryType::HOST);
    EXPECT_EQ(mine->out(), 1u);
    const nixl::Buffer buffer = pool.allocate(1000);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 256, 0u);
    EXPECT_EQ(pool.stats().bytes, 1u << 20);
}

TEST_F(ApiAllocator, OutOfMemory_isAnError) {
    const auto mine = use("mine");
    for (const size_t bytes : {Counting::MOST, Counting::MOST + 1}) { // nullptr, an exception
        const nixl::NIXLException error = thrown_by([&] { nixl::Buffer::allocate(bytes); });
        EXPECT_EQ(error.code(), Code::NO_MEMORY);
        EXPECT_NE(std::string(error.what()).find("allocator mine"), std::string::npos);
    }
}

// Proves: S-114
TEST_F(ApiAllocator, MemoryGoesBackToWhereItCameFrom) {
    const auto first = use("first");
    nixl::Buffer of_first = nixl::Buffer::allocate(100);
    const auto second = use("second");
    nixl::Buffer of_second = nixl::Buffer::allocate(100);
    nixl::configure("allocator", "default");
    nixl::Buffer of_none = nixl::Buffer::allocate(100);
    EXPECT_EQ(first->out() + second->out(), 2u);
    of_first.free();
    EXPECT_EQ(first->out(), 0u);
    EXPECT_EQ(second->out(), 1u);
}

TEST_F(ApiAllocator, Closing_givesBackAndForgets) {
    const int before = Counting::gone;
    use("mine");
    const nixl::Buffer buffer = nixl::Buffer::allocate(100);
    nixl::finalize(); // the destructor looks that nothing is out
    EXPECT_EQ(Counting::gone, before + 1);
}

TEST_F(ApiAllocator, Names_areChecked) {
    EXPECT_EQ(thrown_by([] { nixl::configure("allocator", "nobody"); }).code(), Code::NOT_FOUND);
    use("mine");
    const nixl::NIXLException error =
        thrown_by([] { nixl::register_allocator("mine", std::make_shared<Counting>()); });
    EXPECT_EQ(error.code(), Code::ALREADY_EXISTS);
    for (const char* name : {"", "default"})
        EXPECT_EQ(
            thrown_by([&] { nixl::register_allocator(name, std::make_shared<Counting>()); }).code(),
            Code::INVALID_ARGUMENT);
    EXPECT_EQ(thrown_by([] { nixl::register_allocator("x", nullptr); }).code(),
              Code::INVALID_ARGUMENT);
}

TEST_F(ApiAllocator, NameFromTheOpening_isLookedUpAtTheFirstUse) {
    nixl::Config config;
    config.settings.emplace_back("allocator", "mine");
    nixl::initialize(config);
    const nixl::NIXLException error = thrown_by([] { nixl::Buffer::allocate(100); });
    EXPECT_EQ(error.code(), Code::NOT_FOUND);
    const auto mine = std::make_shared<Counting>();
    nixl::register_allocator("mine", mine);
    const nixl::Buffer buffer = nixl::Buffer::allocate(100);
    EXPECT_EQ(mine->out(), 1u);
}

} // namespace
