// SPDX-License-Identifier: Apache-2.0
// Composed routes with real bytes: a peer's memory to a file in three legs, of which the middle one
// is between two sorts of staging memory.
#include <algorithm>
#include <string>
#include <vector>

#include "tests/conformance/island_backend.h"
#include "tests/conformance/peer_pair.h"

namespace nixl::test {
namespace {

class LibraryRoutes : public ::testing::Test {
  protected:
    LibraryRoutes() {
        const nixl_backend_v1 table = island_backend();
        EXPECT_EQ(nixl_backend_add(caller_.session.context(), &table), NIXL_OK);
        file_.write(Bytes(Owner::BYTES, 0));
        into_ = caller_.session.file(file_.text());
    }
    Owner owner_;
    Caller caller_;
    ScratchPath file_;
    const nixl_buffer remote_ = caller_.import(caller_.connect(owner_), owner_);
    nixl_buffer into_{};
};

TEST_F(LibraryRoutes, ThreeLegs_moveEveryByte) {
    ASSERT_EQ(caller_.session.configure({{"chunk_size", "4096"}, {"pipeline_chunks", "3"}}),
              NIXL_OK);
    const Transfer transfer = caller_.session.request(remote_, into_);

    for (int post = 0; post < 3; ++post) {
        owner_.memory[0] = static_cast<unsigned char>(post);
        ASSERT_EQ(transfer.run(), NIXL_OK) << transfer.error();
        EXPECT_TRUE(file_.read() == owner_.memory);
    }

    EXPECT_NE(transfer.path().find("testremote+memcpy+testisland"), std::string::npos)
        << transfer.path();
    EXPECT_EQ(transfer.describe().legs, 3u);
    EXPECT_EQ(caller_.session.users(remote_), 0u);
}

TEST_F(LibraryRoutes, ThreeLegs_keepScatteredBlocksApart) {
    std::vector<nixl_run> runs;
    Bytes expected(Owner::BYTES, 0);
    for (uint64_t i = 0; i < 64; ++i) { // blocks of 512 bytes, in reverse, every second one
        const uint64_t from = i * 1024, to = (63 - i) * 1024 + 512;
        runs.push_back({from, to, 512, 0, 0, 1, 0, 0});
        std::copy_n(owner_.memory.begin() + static_cast<int64_t>(from), 512,
                    expected.begin() + static_cast<int64_t>(to));
    }
    ASSERT_EQ(caller_.session.configure({{"chunk_size", "4096"}, {"pipeline_chunks", "2"}}),
              NIXL_OK);
    const Transfer transfer = caller_.session.runs(remote_, into_, runs);
    ASSERT_EQ(transfer.describe().legs, 3u) << transfer.path();

    EXPECT_EQ(transfer.run(), NIXL_OK) << transfer.error();

    EXPECT_TRUE(file_.read() == expected);
}

TEST_F(LibraryRoutes, PoolForOneOfTwoBlocks_isTooSmallAndSaysSo) {
    ASSERT_EQ(caller_.session.configure(
                  {{"chunk_size", "4096"}, {"pipeline_chunks", "4"}, {"pool_size", "16384"}}),
              NIXL_OK);
    const Transfer transfer = caller_.session.request(remote_, into_);

    EXPECT_EQ(transfer.post(), NIXL_NO_MEMORY) << "AGAIN would be tried again for ever";
    EXPECT_NE(std::string(last_error().hint).find("pool_size"), std::string::npos);

    ASSERT_EQ(caller_.session.configure({{"pool_size", "32768"}}), NIXL_OK);
    EXPECT_EQ(transfer.run(), NIXL_OK) << transfer.error();
    EXPECT_TRUE(file_.read() == owner_.memory);
}

TEST_F(LibraryRoutes, ThreeLegs_thePeerThatDiesIsTold) {
    const Transfer transfer = caller_.session.request(remote_, into_);
    ASSERT_EQ(transfer.describe().legs, 3u) << transfer.path();
    RemoteWorld::kill_latest(1); // the owner was opened first

    EXPECT_EQ(transfer.run(), NIXL_DISCONNECTED) << transfer.error();

    EXPECT_EQ(transfer.describe().bytes_done, 0u);
    EXPECT_TRUE(file_.read() == Bytes(Owner::BYTES, 0));
}

} // namespace
} // namespace nixl::test
