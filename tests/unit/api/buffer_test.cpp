// SPDX-License-Identifier: Apache-2.0
// nixl::Buffer: what it wraps and allocates, what it refuses, when it may be destroyed.
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>
#include <nixl/nixl.h>
#include <unistd.h>

namespace {

class ApiBuffer : public testing::Test {
  protected:
    ~ApiBuffer() override { nixl::finalize(); }
};

/// A path that is removed at the end.
class ScratchFile {
  public:
    explicit ScratchFile(const std::string& name = "")
        : path_("/tmp/nixl-api-test-" + std::to_string(::getpid()) + name) {
        ::unlink(path_.c_str());
    }
    ~ScratchFile() { ::unlink(path_.c_str()); }
    ScratchFile(const ScratchFile&) = delete;
    ScratchFile& operator=(const ScratchFile&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::string content() const {
        std::ifstream file(path_, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }

  private:
    std::string path_;
};

// Proves: S-155 S-157
TEST_F(ApiBuffer, WrappedMemory_isDescribed) {
    std::vector<float> numbers(1000, 1.0f);

    const nixl::Buffer buffer =
        nixl::Buffer::from_host(numbers.data(), numbers.size() * sizeof(float));

    EXPECT_EQ(buffer.size(), 4000u);
    EXPECT_EQ(buffer.data(), numbers.data());
    EXPECT_EQ(buffer.type(), nixl::MemoryType::HOST);
    EXPECT_FALSE(buffer.is_read_only());
}

// Proves: S-155
TEST_F(ApiBuffer, ConstMemory_isRefusedAsTarget) {
    const char text[] = "constant";
    char other[sizeof text] = "other";
    const nixl::Buffer source = nixl::Buffer::from_host(text, sizeof text);
    const nixl::Buffer target = nixl::Buffer::from_host(other, sizeof other);

    EXPECT_TRUE(source.is_read_only());
    nixl::transfer(source, target);
    EXPECT_STREQ(other, "constant");
    try {
        nixl::transfer(target, source);
        FAIL() << "a read-only target was accepted";
    } catch (const nixl::NIXLException& error) {
        EXPECT_EQ(error.code(), nixl::Code::PERMISSION_DENIED);
        EXPECT_STRNE(error.what(), "");
    }
}

// Proves: S-155
TEST_F(ApiBuffer, NullOrNothing_isAnErrorOrFine) {
    EXPECT_THROW(nixl::Buffer::from_host(static_cast<void*>(nullptr), 1), nixl::NIXLException);
    EXPECT_EQ(nixl::Buffer::from_host(static_cast<void*>(nullptr), 0).size(), 0u);
}

// Proves: S-155
TEST_F(ApiBuffer, PinnedHostMemory_isPinnedInPlace) {
    std::vector<char> bytes(1 << 16);
    const nixl::Buffer buffer =
        nixl::Buffer::from_host(bytes.data(), bytes.size(), nixl::MemoryType::HOST_PINNED);

    EXPECT_EQ(buffer.data(), bytes.data());
}

// Proves: S-156
TEST_F(ApiBuffer, AllocatedMemory_isZeroedAndOwned) {
    const nixl::Buffer buffer = nixl::Buffer::allocate(10000, nixl::MemoryType::HOST);
    const auto* bytes = static_cast<const unsigned char*>(buffer.data());

    for (int i = 0; i < 10000; ++i)
        ASSERT_EQ(bytes[i], 0);
}

// Proves: S-156
TEST_F(ApiBuffer, DeviceMemoryWithoutEngine_saysSo) {
    if (nixl::get_device_count() != 0)
        GTEST_SKIP() << "there is a GPU";
    try {
        nixl::Buffer::allocate(1024, nixl::MemoryType::DEVICE, 0);
        FAIL() << "device memory without a GPU";
    } catch (const nixl::NIXLException& error) {
        EXPECT_EQ(error.code(), nixl::Code::UNSUPPORTED);
    }
}

// Proves: S-156
TEST_F(ApiBuffer, TooMuch_isNoMemoryAndHurtsNothing) {
    try {
        nixl::Buffer::allocate(std::size_t{1} << 60);
        FAIL() << "an exbibyte was allocated";
    } catch (const nixl::NIXLException& error) {
        EXPECT_EQ(error.code(), nixl::Code::NO_MEMORY);
    }
    EXPECT_EQ(nixl::Buffer::allocate(16).size(), 16u);
}

// Proves: S-156
TEST_F(ApiBuffer, Moved_leavesAnEmptyOne) {
    static_assert(!std::is_copy_constructible_v<nixl::Buffer>);
    static_assert(std::is_nothrow_move_constructible_v<nixl::Buffer>);
    nixl::Buffer first = nixl::Buffer::allocate(100);
    nixl::Buffer second = std::move(first);

    EXPECT_EQ(second.size(), 100u);
    EXPECT_THROW((void)first.size(), nixl::NIXLException); // NOLINT(bugprone-use-after-move)
    first.free();
    first = std::move(second);
    EXPECT_EQ(first.size(), 100u);
}

// Proves: S-162 C-43
TEST_F(ApiBuffer, Freed_answersWithAnError) {
    nixl::Buffer buffer = nixl::Buffer::allocate(8);
    const nixl::Buffer other = nixl::Buffer::allocate(8);
    buffer.free();
    buffer.free();

    try {
        nixl::transfer(buffer, other);
        FAIL() << "a freed buffer was used";
    } catch (const nixl::NIXLException& error) {
        EXPECT_EQ(error.code(), nixl::Code::STALE);
    }
}

// Proves: S-162 C-43
TEST_F(ApiBuffer, DestroyedAfterFinalize_isSafeInEveryOrder) {
    for (int order = 0; order < 3; ++order) {
        std::vector<char> bytes(100);
        nixl::Buffer wrapped = nixl::Buffer::from_host(bytes.data(), bytes.size());
        nixl::Buffer owned = nixl::Buffer::allocate(100);
        nixl::Transfer transfer = nixl::transfer(wrapped, owned);
        if (order == 1)
            nixl::initialize();
        nixl::finalize();
        if (order == 2) {
            nixl::initialize();
            wrapped.free();
            owned.free();
        }
        EXPECT_EQ(transfer.wait(), nixl::TransferStatus::SUCCESS);
    }
}

// Proves: C-43
TEST_F(ApiBuffer, UsedAfterFinalize_throwsStale) {
    const nixl::Buffer source = nixl::Buffer::allocate(8), target = nixl::Buffer::allocate(8);
    nixl::finalize();
    try {
        nixl::transfer(source, target);
        FAIL() << "a buffer of a closed context was used";
    } catch (const nixl::NIXLException& error) {
        EXPECT_EQ(error.code(), nixl::Code::STALE);
    }
}

// Proves: S-164
TEST_F(ApiBuffer, File_isWrittenAndRead) {
    const ScratchFile file;
    char text[] = "through a file";
    char back[sizeof text] = {};
    {
        const nixl::Buffer target = nixl::Buffer::open_file(
            file.path(), nixl::OpenMode::CREATE | nixl::OpenMode::TRUNCATE, 0, sizeof text);
        nixl::transfer(nixl::Buffer::from_host(text, sizeof text), target);
        target.flush();
        EXPECT_EQ(target.type(), nixl::MemoryType::FILE);
        EXPECT_EQ(target.data(), nullptr);
    }
    const nixl::Buffer source = nixl::Buffer::open_file(file.path(), nixl::OpenMode::READ_ONLY);

    nixl::transfer(source, nixl::Buffer::from_host(back, sizeof back));

    EXPECT_STREQ(back, text);
    EXPECT_EQ(file.content(), std::string(text, sizeof text));
}

// Proves: S-069
TEST_F(ApiBuffer, ZeroCopy_refusesAPathThroughStagingMemory) {
    const ScratchFile first, second("-second");
    char text[] = "not through staging memory";
    const auto create = nixl::OpenMode::CREATE;
    const nixl::Buffer source = nixl::Buffer::open_file(first.path(), create, 0, sizeof text);
    const nixl::Buffer target = nixl::Buffer::open_file(second.path(), create, 0, sizeof text);
    nixl::transfer(nixl::Buffer::from_host(text, sizeof text), source);
    nixl::configure("path_policy", "allow");
    nixl::configure("zero_copy", "true");
    try {
        nixl::transfer(source, target);
        FAIL() << "it was staged";
    } catch (const nixl::NIXLException& error) {
        EXPECT_EQ(error.code(), nixl::Code::UNSUPPORTED);
        EXPECT_NE(std::string(error.what()).find("zero_copy"), std::string::npos);
    }
    EXPECT_TRUE(second.content().empty());

    nixl::configure("zero_copy", "false");
    nixl::transfer(source, target);
    EXPECT_EQ(second.content(), std::string(text, sizeof text));
}

// Proves: S-161
TEST_F(ApiBuffer, MissingFile_isNotFoundWithItsErrno) {
    try {
        nixl::Buffer::open_file("/nonexistent/file");
        FAIL() << "a missing file was opened";
    } catch (const nixl::NIXLException& error) {
        EXPECT_EQ(error.code(), nixl::Code::NOT_FOUND);
        EXPECT_EQ(error.detail(), ENOENT);
        EXPECT_NE(std::string(error.what()).find("/nonexistent/file"), std::string::npos);
    }
}

// Proves: S-158
TEST_F(ApiBuffer, NoMemory_needsNoCast) {
    const nixl::Buffer none = nixl::Buffer::from_host(nullptr, 0);
    EXPECT_EQ(none.size(), 0u);
    EXPECT_THROW((void)nixl::Buffer::from_host(nullptr, 1), nixl::NIXLException);
    nixl::finalize();
}

} // namespace
