// SPDX-License-Identifier: Apache-2.0
// Opening storage: nothing is created or cut before everything was found right, and nothing waits.
#include "memory/storage_file.h"

#include <cstdlib>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "memory/region_table.h"

namespace nixl::core {
namespace {

class StorageFileTest : public ::testing::Test {
  protected:
    StorageFileTest() {
        const char* const directory = std::getenv("TMPDIR");
        path_ = std::string(directory != nullptr ? directory : "/tmp") + "/nixl-storage-XXXXXX";
        const Descriptor made(::mkstemp(path_.data()));
        EXPECT_EQ(::write(made.get(), "twelve bytes", 12), 12);
    }
    ~StorageFileTest() override { ::unlink(path_.c_str()); }

    [[nodiscard]] FileOptions options(uint32_t flags, uint64_t offset = 0,
                                      uint64_t bytes = 0) const {
        FileOptions wanted;
        wanted.path = path_;
        wanted.flags = flags;
        wanted.offset = offset;
        wanted.bytes = bytes;
        return wanted;
    }
    /// -1: there is no such file.
    [[nodiscard]] int64_t size() const {
        struct stat info {};
        return ::stat(path_.c_str(), &info) == 0 ? int64_t{info.st_size} : -1;
    }
    std::string path_;
};

TEST_F(StorageFileTest, WrongRange_neitherCutsNorCreates) {
    const uint32_t cut = NIXL_BUFFER_TRUNCATE | NIXL_BUFFER_CREATE;
    EXPECT_EQ(StorageFile::open(options(cut, 1)).error().code, Code::OUT_OF_RANGE);
    EXPECT_EQ(StorageFile::open(options(cut, 1, UINT64_MAX)).error().code, Code::OUT_OF_RANGE);
    EXPECT_EQ(size(), 12);

    ::unlink(path_.c_str());
    EXPECT_EQ(StorageFile::open(options(cut, 1)).error().code, Code::OUT_OF_RANGE);
    EXPECT_EQ(StorageFile::open(options(cut, INT64_MAX, 1)).error().code, Code::OUT_OF_RANGE);
    EXPECT_EQ(StorageFile::open(options(0)).error().code, Code::NOT_FOUND);
    EXPECT_EQ(size(), -1);
}

TEST_F(StorageFileTest, RightRange_cutsCreatesAndBlocksAgain) {
    EXPECT_EQ(StorageFile::open(options(0, 2)).value().bytes, 10u);
    EXPECT_EQ(StorageFile::open(options(NIXL_BUFFER_TRUNCATE, 5, 7)).value().bytes, 7u);
    EXPECT_EQ(size(), 0);

    ::unlink(path_.c_str());
    const auto made = StorageFile::open(options(NIXL_BUFFER_CREATE, 0, 100));
    ASSERT_TRUE(made.ok());
    EXPECT_EQ(size(), 0);
    EXPECT_EQ(::fcntl(made.value().descriptor.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(StorageFileTest, FifoWithoutAnotherEnd_isRefusedAtOnce) {
    ::unlink(path_.c_str());
    ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
    EXPECT_EQ(StorageFile::open(options(NIXL_BUFFER_READ_ONLY)).error().code,
              Code::INVALID_ARGUMENT);
    EXPECT_EQ(StorageFile::open(options(0)).error().code, Code::INVALID_ARGUMENT);
}

} // namespace
} // namespace nixl::core
