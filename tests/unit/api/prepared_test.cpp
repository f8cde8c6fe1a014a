// SPDX-License-Identifier: Apache-2.0
// Prepared transfers, block lists and completion queues from C++.
#include <chrono>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nixl/nixl.h>
#include <poll.h>

namespace {

using nixl::TransferStatus;

class ApiPrepared : public testing::Test {
  protected:
    ApiPrepared() {
        for (int i = 0; i < 256; ++i)
            source_[static_cast<std::size_t>(i)] = static_cast<unsigned char>(i);
    }
    ~ApiPrepared() override { nixl::finalize(); }

    std::vector<unsigned char> source_ = std::vector<unsigned char>(256);
    std::vector<unsigned char> target_ = std::vector<unsigned char>(256, 0);
    nixl::Buffer from_ = nixl::Buffer::from_host(source_.data(), source_.size());
    nixl::Buffer to_ = nixl::Buffer::from_host(target_.data(), target_.size());
};

TEST_F(ApiPrepared, Runs_moveWhatTheySay) {
    nixl::Prepared prepared =
        nixl::prepare(from_, to_, {nixl::run(0, 10, 2), nixl::strided_run(100, 255, 1, 1, -1, 3)});

    EXPECT_EQ(prepared.post().wait(), TransferStatus::SUCCESS);
    EXPECT_EQ(target_[11], 1);
    EXPECT_EQ(target_[255], 100);
    EXPECT_EQ(target_[253], 102);
    EXPECT_EQ(target_[12], 0);
}

TEST_F(ApiPrepared, PostedAgain_movesAgain) {
    nixl::Prepared prepared = nixl::prepare(from_, to_);
    for (unsigned char value = 1; value < 10; ++value) {
        source_.assign(source_.size(), value);
        nixl::Transfer transfer = prepared.post();
        ASSERT_EQ(transfer.wait(), TransferStatus::SUCCESS);
        ASSERT_EQ(target_, source_);
    }
}

// Proves: S-092
TEST_F(ApiPrepared, RunOutside_isNamed) {
    const std::vector<nixl::Run> runs = {nixl::run(0, 0, 1), nixl::run(250, 0, 7)};
    try {
        nixl::prepare(from_, to_, runs);
        FAIL() << "a run outside its buffer was accepted";
    } catch (const nixl::NIXLException& error) {
        EXPECT_EQ(error.code(), nixl::Code::OUT_OF_RANGE);
        EXPECT_NE(std::string(error.what()).find('1'), std::string::npos);
    }
}

TEST_F(ApiPrepared, NeverPosted_isPending) {
    nixl::Prepared prepared = nixl::prepare(from_, to_);
    nixl::Prepared moved = std::move(prepared);

    EXPECT_EQ(moved.post().wait(), TransferStatus::SUCCESS);
    EXPECT_THROW(prepared.post(), nixl::NIXLException); // NOLINT(bugprone-use-after-move)
}

TEST_F(ApiPrepared, Lists_areIndexed) {
    const nixl::BlockList from(from_, {nixl::blocks(0, 4, 4, 64)});
    const nixl::BlockList to(to_, {nixl::blocks(0, 4, 4, 64)});
    nixl::Prepared prepared = nixl::prepare(from, to);
    const std::vector<std::uint32_t> source = {63, 1}, target = {0, 1};

    EXPECT_EQ(prepared.post(source.data(), target.data(), 2).wait(), TransferStatus::SUCCESS);
    EXPECT_EQ(target_[0], 252);
    EXPECT_EQ(target_[4], 4);
    EXPECT_EQ(target_[8], 0);
    EXPECT_EQ(prepared.post({2}).wait(), TransferStatus::SUCCESS);
    EXPECT_EQ(target_[8], 8);
}

TEST_F(ApiPrepared, DroppedInFlight_waitsForTheEnd) {
    std::vector<unsigned char> big(1 << 24, 9), other(1 << 24, 0);
    const nixl::Buffer from = nixl::Buffer::from_host(big.data(), big.size());
    const nixl::Buffer to = nixl::Buffer::from_host(other.data(), other.size());

    nixl::prepare(from, to).post();

    EXPECT_EQ(other, big);
}

TEST_F(ApiPrepared, Queue_tellsEveryEnd) {
    nixl::CompletionQueue queue(16);
    nixl::Prepared prepared = nixl::prepare(from_, to_);
    int mark = 0;
    nixl::PostOptions options;
    options.queue = &queue;
    options.user = &mark;
    queue.arm();
    prepared.post(options);

    pollfd ready{queue.fd(), POLLIN, 0};
    ASSERT_EQ(::poll(&ready, 1, 20'000), 1);
    const std::vector<nixl::Event> events = queue.poll();
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].user, &mark);
    EXPECT_EQ(events[0].status, NIXL_OK);
    EXPECT_EQ(events[0].bytes, 256u);
    EXPECT_TRUE(queue.poll().empty());
}

TEST_F(ApiPrepared, QueueOfNoDepth_isRefused) {
    EXPECT_THROW(nixl::CompletionQueue(0), nixl::NIXLException);
}

} // namespace
