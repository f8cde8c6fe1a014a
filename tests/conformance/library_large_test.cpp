// SPDX-License-Identifier: Apache-2.0
// More bytes than 32 bits count, in one element and in runs: each of them arrives, and none more.
#include <algorithm>
#include <cstring>

#include <sys/mman.h>
#include <unistd.h>

#include "tests/conformance/aliased_memory.h"
#include "tests/conformance/session.h"

namespace nixl::test {
namespace {

constexpr uint64_t LENGTH = 4 * GIB + 1;
constexpr uint64_t HALF_WINDOW = AliasedMemory::WINDOW_BYTES / 2;
/// Where a count in 31 or 32 bits, or the most that one call of the kernel moves, goes wrong.
constexpr uint64_t EDGES[] = {2 * GIB, 4 * GIB};

/// The same bytes in other pieces: longer than 2 GiB, many, and the odd one.
std::vector<nixl_run> pieces() {
    constexpr uint64_t FIRST = 3 * GIB + 5, MANY = 31 * MIB, COUNT = 32;
    constexpr uint64_t REST = FIRST + MANY * COUNT;
    static_assert(REST < LENGTH);
    return {{0, 0, FIRST, 0, 0, 1, 0, 0},
            {FIRST, FIRST, MANY, MANY, MANY, COUNT, 0, 0},
            {REST, REST, LENGTH - REST, 0, 0, 1, 0, 0}};
}

class LibraryLarge : public ::testing::TestWithParam<std::string> {
  protected:
    void SetUp() override {
        if (slowdown() != 1)
            GTEST_SKIP() << "4 GiB take too long under a sanitizer";
        if (const std::string reason = refusal_of(GetParam()); !reason.empty())
            GTEST_SKIP() << reason;
        for (const uint64_t edge : EDGES)
            target_.open_window(edge);
        std::fill_n(target_.slot(), AliasedMemory::SLOT_BYTES, STALE);
        for (const uint64_t edge : EDGES)
            target_.write(edge - HALF_WINDOW, Bytes(2 * HALF_WINDOW, STALE));
    }

    /// Moves all of it twice and looks at the edges after each time.
    void expect_moved(Session& session, nixl_buffer source) {
        const nixl_buffer target = session.wrap(target_.at(0), target_.bytes());
        for (const bool whole : {true, false}) {
            const Transfer transfer = whole ? session.range(source, 0, target, 0, LENGTH)
                                            : session.runs(source, target, pieces());
            ASSERT_EQ(transfer.run(), NIXL_OK) << transfer.error();
            EXPECT_EQ(transfer.describe().bytes_wanted, LENGTH);
            EXPECT_EQ(transfer.describe().bytes_done, LENGTH);
            EXPECT_EQ(transfer.describe().elements_done, transfer.describe().elements);
            expect_edges(whole ? "one element" : "runs");
        }
    }
    void expect_edges(const char* shape) {
        EXPECT_TRUE(target_.read(2 * GIB - HALF_WINDOW, 2 * HALF_WINDOW) == around_2_gib_) << shape;
        Bytes end = around_4_gib_; // its last byte is the one at 4 GiB
        end.resize(HALF_WINDOW + 1);
        end.resize(2 * HALF_WINDOW, STALE);
        EXPECT_TRUE(target_.read(4 * GIB - HALF_WINDOW, 2 * HALF_WINDOW) == end) << shape;
        EXPECT_EQ(std::memcmp(target_.slot(), repeated_.data(), repeated_.size()), 0) << shape;
        // Again from the start.
        std::fill_n(target_.slot(), AliasedMemory::SLOT_BYTES, STALE);
        for (const uint64_t edge : EDGES)
            target_.write(edge - HALF_WINDOW, Bytes(2 * HALF_WINDOW, STALE));
    }

    static constexpr unsigned char STALE = 0xEE;
    const Bytes around_2_gib_ = random_bytes(2 * HALF_WINDOW, 1);
    const Bytes around_4_gib_ = random_bytes(2 * HALF_WINDOW, 2);
    Bytes repeated_ = Bytes(AliasedMemory::SLOT_BYTES);
    AliasedMemory target_{LENGTH / AliasedMemory::SLOT_BYTES + 1};
};

/// D4 from memory.
class LibraryLargeMemory : public LibraryLarge {};
// Proves: S-092 S-096
TEST_P(LibraryLargeMemory, MoreThan4GiB_movesToTheLastByte) {
    AliasedMemory source(LENGTH / AliasedMemory::SLOT_BYTES + 1);
    repeated_ = random_bytes(AliasedMemory::SLOT_BYTES, 3);
    std::copy(repeated_.begin(), repeated_.end(), source.slot());
    for (const uint64_t edge : EDGES)
        source.open_window(edge);
    source.write(2 * GIB - HALF_WINDOW, around_2_gib_);
    source.write(4 * GIB - HALF_WINDOW, around_4_gib_);
    Session session;

    expect_moved(session, session.wrap(source.at(0), LENGTH));
}
INSTANTIATE_TEST_SUITE_P(Backends, LibraryLargeMemory, ::testing::Values("memcpy"),
                         [](const auto& info) { return info.param; });

/// D4 from a file, whose holes are zeros.
class LibraryLargeFile : public LibraryLarge {};
// Proves: S-092 S-096
TEST_P(LibraryLargeFile, MoreThan4GiB_movesToTheLastByte) {
    // In memory, where holes cost nothing, not even when they are read.
    const int fd = ::memfd_create("nixl-large", MFD_CLOEXEC);
    ASSERT_EQ(::ftruncate(fd, static_cast<off_t>(LENGTH)), 0);
    const auto write_at = [fd](uint64_t offset, const Bytes& content, uint64_t bytes) {
        EXPECT_EQ(::pwrite(fd, content.data(), bytes, static_cast<off_t>(offset)),
                  static_cast<ssize_t>(bytes));
    };
    write_at(2 * GIB - HALF_WINDOW, around_2_gib_, 2 * HALF_WINDOW);
    write_at(4 * GIB - HALF_WINDOW, around_4_gib_, HALF_WINDOW + 1);
    Session session(
        Settings{{"posix.engine", GetParam() == "posix_uring" ? "io_uring" : "threads"}});

    expect_moved(session, session.file("/proc/self/fd/" + std::to_string(fd)));

    ::close(fd);
}
INSTANTIATE_TEST_SUITE_P(Backends, LibraryLargeFile,
                         ::testing::Values("posix_uring", "posix_threads"),
                         [](const auto& info) { return info.param; });

} // namespace
} // namespace nixl::test
