// SPDX-License-Identifier: Apache-2.0
// nixl::MemoryPool: its buffers are ends of transfers like any other, its end, its figures.
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <nixl/nixl.h>

#include "thrown.h"

namespace {

using nixl::Code;
using nixl::MemoryType;

class ApiPool : public testing::Test {
  protected:
    ~ApiPool() override { nixl::finalize(); }
};

// Proves: S-106, S-107
TEST_F(ApiPool, Buffers_areEndsOfTransfers) {
    nixl::MemoryPool pool(1 << 20, MemoryType::HOST);
    std::vector<nixl::Buffer> buffers;
    std::vector<std::vector<unsigned char>> wanted;
    for (size_t i = 0; i < 50; ++i) {
        wanted.emplace_back(1 + i * 97, static_cast<unsigned char>(i));
        buffers.push_back(pool.allocate(wanted.back().size()));
        EXPECT_EQ(buffers.back().size(), wanted.back().size());
        EXPECT_EQ(reinterpret_cast<uintptr_t>(buffers.back().data()) % 256, 0u);
        nixl::transfer(nixl::Buffer::from_host(wanted.back().data(), wanted.back().size()),
                       buffers.back());
    }
    for (size_t i = 0; i < buffers.size(); ++i) { // none wrote over another
        std::vector<unsigned char> got(wanted[i].size());
        nixl::transfer(buffers[i], nixl::Buffer::from_host(got.data(), got.size()));
        EXPECT_EQ(got, wanted[i]) << i;
    }
    std::vector<unsigned char> large(wanted[0].size() + 1);
    EXPECT_EQ(thrown_by([&] {
                  nixl::transfer(nixl::Buffer::from_host(large.data(), large.size()), buffers[0]);
              }).code(),
              Code::OUT_OF_RANGE);
}

TEST_F(ApiPool, WhatIsFreed_isTakenAgain) {
    nixl::MemoryPool pool(4096, MemoryType::HOST);
    nixl::Buffer first = pool.allocate(4096);
    const nixl::NIXLException full = thrown_by([&] { (void)pool.allocate(1); });
    EXPECT_EQ(full.code(), Code::NO_MEMORY);
    EXPECT_NE(std::string(full.what()).find("4096 are used, 0 are free"), std::string::npos)
        << full.what();
    void* const address = first.data();
    first.free();
    EXPECT_EQ(pool.allocate(4096).data(), address);
}

TEST_F(ApiPool, Alignment_isThatOfTheAddress) {
    nixl::MemoryPool pool(4 << 20, MemoryType::HOST);
    const nixl::Buffer odd = pool.allocate(1);
    const nixl::Buffer page = pool.allocate(100, 1 << 16);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(page.data()) % (1 << 16), 0u);
    EXPECT_EQ(thrown_by([&] { (void)pool.allocate(1, 3); }).code(), Code::INVALID_ARGUMENT);
    EXPECT_EQ(thrown_by([&] { (void)pool.allocate(0); }).code(), Code::INVALID_ARGUMENT);
}

// Proves: S-109
TEST_F(ApiPool, PoolWithBuffers_isNotFreed) {
    nixl::MemoryPool pool(4096, MemoryType::HOST);
    nixl::Buffer buffer = pool.allocate(10);
    const nixl::NIXLException busy = thrown_by([&] { pool.free(); });
    EXPECT_EQ(busy.code(), Code::BUSY);
    EXPECT_NE(std::string(busy.what()).find("1 buffer"), std::string::npos);
    std::memset(buffer.data(), 1, buffer.size());
    buffer.free();
    pool.free();
    pool.free();
    EXPECT_EQ(thrown_by([&] { (void)pool.allocate(1); }).code(), Code::STALE);
}

TEST_F(ApiPool, AfterFinalize_everyOrderIsSafe) {
    nixl::MemoryPool pool(4096, MemoryType::HOST);
    nixl::Buffer buffer = pool.allocate(10);
    nixl::Buffer other = pool.allocate(10);
    nixl::transfer(buffer, other);
    nixl::finalize();
    pool.free();
    buffer.free();
}

TEST_F(ApiPool, TooSmallOrTooLarge_isRefused) {
    EXPECT_EQ(thrown_by([] { nixl::MemoryPool(0, MemoryType::HOST); }).code(),
              Code::INVALID_ARGUMENT);
    EXPECT_EQ(thrown_by([] { nixl::MemoryPool(255, MemoryType::HOST); }).code(),
              Code::INVALID_ARGUMENT);
    EXPECT_EQ(thrown_by([] { nixl::MemoryPool(1024, MemoryType::FILE); }).code(),
              Code::INVALID_ARGUMENT);
    const nixl::NIXLException large =
        thrown_by([] { nixl::MemoryPool(size_t{1} << 50, MemoryType::HOST); });
    EXPECT_EQ(large.code(), Code::NO_MEMORY);
    EXPECT_NE(std::string(large.what()).find("are free"), std::string::npos) << large.what();
}

// Proves: S-108
TEST_F(ApiPool, Stats_countWhatHappened) {
    nixl::MemoryPool pool(1 << 20, MemoryType::HOST);
    EXPECT_EQ(pool.stats().fragmentation(), 0.0);
    EXPECT_EQ(pool.stats().hit_rate(), 1.0);
    std::vector<nixl::Buffer> buffers;
    for (int i = 0; i < 4; ++i)
        buffers.push_back(pool.allocate(1 << 18));
    EXPECT_EQ(thrown_by([&] { (void)pool.allocate(1); }).code(), Code::NO_MEMORY);
    buffers[0].free();
    buffers[2].free();
    const nixl::PoolStats stats = pool.stats();
    EXPECT_EQ(stats.bytes, 1u << 20);
    EXPECT_EQ(stats.used, 1u << 19);
    EXPECT_EQ(stats.peak, 1u << 20);
    EXPECT_EQ(stats.largest_free, 1u << 18);
    EXPECT_EQ(stats.buffers, 2u);
    EXPECT_EQ(stats.fragmentation(), 0.5);
    EXPECT_EQ(stats.hit_rate(), 0.8);
}

TEST_F(ApiPool, ManyThreads_takeAndGive) {
    nixl::MemoryPool pool(16 << 20, MemoryType::HOST);
    std::vector<std::thread> threads;
    std::atomic<int> overwritten{0};
    for (unsigned t = 0; t < 8; ++t)
        threads.emplace_back([&, t] {
            std::mt19937 random(t);
            for (int i = 0; i < 500; ++i) {
                const size_t bytes = 1 + random() % 60000;
                nixl::Buffer buffer = pool.allocate(bytes);
                auto* const data = static_cast<unsigned char*>(buffer.data());
                std::memset(data, static_cast<int>(t), bytes);
                std::this_thread::yield();
                for (size_t k = 0; k < bytes; ++k)
                    overwritten += data[k] != t;
            }
        });
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(overwritten, 0);
    EXPECT_EQ(pool.stats().used, 0u);
    pool.free();
}

} // namespace
