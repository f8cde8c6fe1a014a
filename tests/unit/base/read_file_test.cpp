// SPDX-License-Identifier: Apache-2.0
#include "base/read_file.h"

#include <cerrno>
#include <cstdlib>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

namespace nixl::core {
namespace {

class ReadFile : public ::testing::Test {
  protected:
    ReadFile() { ::close(::mkstemp(path_.data())); }
    ~ReadFile() override { ::unlink(path_.c_str()); }
    void write(size_t bytes) const { std::ofstream(path_) << std::string(bytes, 'x'); }

    std::string path_ = ::testing::TempDir() + "nixl-read-file-XXXXXX";
};

TEST_F(ReadFile, EmptyAndLonger_areReadWhole) {
    for (const size_t bytes : {size_t{0}, size_t{4096}, size_t{4097}, MAX_READ_FILE_BYTES}) {
        write(bytes);
        const auto text = read_file(path_);
        ASSERT_TRUE(text.ok());
        EXPECT_EQ(text.value(), std::string(bytes, 'x'));
    }
}

TEST_F(ReadFile, TooLong_isOneByteMoreThanTheLimit) {
    write(MAX_READ_FILE_BYTES + 5000);
    EXPECT_EQ(read_file(path_).value().size(), MAX_READ_FILE_BYTES + 1);
}

TEST_F(ReadFile, Missing_namesThePathAndTheCause) {
    const auto text = read_file(path_ + "-not");
    ASSERT_FALSE(text.ok());
    EXPECT_EQ(text.error().detail, ENOENT);
    EXPECT_NE(text.error().message.find(path_ + "-not"), std::string::npos);
    EXPECT_EQ(read_file("/").error().detail, EISDIR);
}

} // namespace
} // namespace nixl::core
