// SPDX-License-Identifier: Apache-2.0
// nixl::Pipeline: the same bytes as without, in pieces of its own.
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>
#include <nixl/nixl.h>
#include <unistd.h>

namespace {

using nixl::Code;

class ApiPipeline : public testing::Test {
  protected:
    ApiPipeline() {
        ::close(::mkstemp(name_.data()));
        std::ofstream(name_, std::ios::binary).write(bytes_.data(), SIZE);
    }
    ~ApiPipeline() override {
        nixl::finalize();
        ::unlink(name_.c_str());
        ::unlink(copy_name().c_str());
    }
    static std::string random_bytes() {
        std::string bytes(SIZE, '\0');
        for (size_t i = 0; i < SIZE; ++i)
            bytes[i] = static_cast<char>(i * 2654435761u >> 13);
        return bytes;
    }
    [[nodiscard]] std::string copy_name() const { return name_ + ".copy"; }
    [[nodiscard]] std::string copy() const {
        std::ifstream file(copy_name(), std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    [[nodiscard]] nixl::Buffer source() const { return nixl::Buffer::open_file(name_); }
    [[nodiscard]] nixl::Buffer target() const {
        return nixl::Buffer::open_file(copy_name(), nixl::OpenMode::CREATE, 0, SIZE);
    }
    static uint64_t pieces(const nixl::Transfer& transfer) { return transfer.describe().elements; }

    static constexpr size_t SIZE = (1 << 20) + 4321;
    const std::string bytes_ = random_bytes();
    std::string name_ = "/tmp/nixl-api-pipeline-XXXXXX";
};

// Proves: S-110 S-111
TEST_F(ApiPipeline, SizesThatDivideAndDoNot_moveTheSameBytes) {
    nixl::configure("path_policy", "allow");
    for (const uint32_t stages : {1u, 3u, 64u})
        for (const uint64_t chunk : {uint64_t{4096}, uint64_t{100'001}, uint64_t{1} << 20}) {
            const nixl::Pipeline pipeline(stages, chunk);
            const nixl::Transfer done = pipeline.transfer(source(), target());
            EXPECT_EQ(pieces(done), (SIZE + chunk - 1) / chunk);
            ASSERT_EQ(copy(), bytes_) << stages << " x " << chunk;
            ::unlink(copy_name().c_str());
        }
}

TEST_F(ApiPipeline, Async_isTheSame) {
    nixl::configure("path_policy", "allow");
    std::atomic<int> calls{0};
    nixl::Transfer one =
        nixl::Pipeline(2, 1 << 16).transfer_async(source(), target(), [&](nixl::TransferStatus) {
            ++calls;
        });
    EXPECT_EQ(one.wait(), nixl::TransferStatus::SUCCESS);
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(copy(), bytes_);
    nixl::Transfer other = nixl::Pipeline(2).transfer_async(source(), target());
    EXPECT_EQ(other.wait(), nixl::TransferStatus::SUCCESS);
}

// Proves: C-12
TEST_F(ApiPipeline, Settings_areTheSameEngine) {
    nixl::configure("path_policy", "allow");
    nixl::configure("chunk_size", "64KB");
    nixl::configure("pipeline_chunks", "2");
    EXPECT_EQ(pieces(nixl::transfer(source(), target())),
              pieces(nixl::Pipeline(2, 64 << 10).transfer(source(), target())));
    EXPECT_EQ(pieces(nixl::Pipeline(2).transfer(source(), target())), SIZE / (64 << 10) + 1)
        << "without a size of its own the setting counts";
}

TEST_F(ApiPipeline, DirectPaths_areTakenWhole) {
    std::string target(SIZE, '\0');
    const nixl::Transfer done = nixl::Pipeline(4, 4096).transfer(
        nixl::Buffer::from_host(bytes_.data(), SIZE), nixl::Buffer::from_host(target.data(), SIZE));
    EXPECT_EQ(pieces(done), 1u);
    EXPECT_EQ(target, bytes_);
}

// Proves: S-111
TEST_F(ApiPipeline, FailureInTheMiddle_namesThePiece) {
    nixl::configure("path_policy", "allow");
    const nixl::Buffer from = source();
    ASSERT_EQ(::truncate(name_.c_str(), 300'000), 0);
    try {
        nixl::Pipeline(4, 1 << 16).transfer(from, target());
        FAIL() << "the source is shorter than its buffer";
    } catch (const nixl::TransferError& error) {
        EXPECT_EQ(error.code(), Code::SHORT_TRANSFER);
        EXPECT_NE(std::string(error.what()).find("piece 4 of 17, bytes 262144 to 327679"),
                  std::string::npos)
            << error.what();
    }
}

TEST_F(ApiPipeline, WhatIsNoPipeline_isRefused) {
    const auto code_of = [&](uint32_t stages, uint64_t chunk) {
        try {
            (void)nixl::Pipeline(stages, chunk).transfer(source(), target());
        } catch (const nixl::NIXLException& error) {
            return error.code();
        }
        return Code::OK;
    };
    EXPECT_EQ(code_of(0, 0), Code::INVALID_ARGUMENT);
    EXPECT_EQ(code_of(65, 0), Code::INVALID_ARGUMENT);
    EXPECT_EQ(code_of(1, 4095), Code::INVALID_ARGUMENT);
    EXPECT_EQ(code_of(1, (uint64_t{4} << 30) + 1), Code::INVALID_ARGUMENT);
}

} // namespace
