// SPDX-License-Identifier: Apache-2.0
// Messages between contexts: what is damaged is refused.
#include "wire/codec.h"

#include <gtest/gtest.h>

namespace nixl::core {
namespace {

std::vector<uint8_t> sample() {
    WireWriter wire(WireMagic::METADATA);
    wire.u64(0x0123456789abcdefULL).text("worker-1").u32(2);
    return std::move(wire).finish();
}

TEST(Wire, Fields_comeBackAsTheyWere) {
    const auto message = sample();
    auto wire = WireReader::open(message, WireMagic::METADATA);

    ASSERT_TRUE(wire.ok());
    EXPECT_EQ(wire.value().u64(), 0x0123456789abcdefULL);
    EXPECT_EQ(wire.value().text(), "worker-1");
    EXPECT_EQ(wire.value().u32(), 2u);
    EXPECT_TRUE(wire.value().finish().ok());
}

TEST(Wire, Format_isLittleEndianAndFixed) {
    WireWriter wire(WireMagic::BUFFER);
    wire.u32(0x04030201);
    const std::vector<uint8_t> wanted = {'N', 'I', 'X', 'B', 1, 0, 0, 0, 1, 2, 3, 4};

    const auto message = std::move(wire).finish();

    ASSERT_EQ(message.size(), wanted.size() + 4);
    EXPECT_TRUE(std::equal(wanted.begin(), wanted.end(), message.begin()));
    const uint8_t check[] = {'1', '2', '3', '4', '5', '6', '7', '8', '9'};
    EXPECT_EQ(crc32(check), 0xCBF43926u); // the published check value of this CRC
}

TEST(Wire, EveryChangedBit_isNoticed) {
    const auto good = sample();
    for (size_t byte = 0; byte < good.size(); ++byte) {
        for (int bit = 0; bit < 8; ++bit) {
            auto bad = good;
            bad[byte] = static_cast<uint8_t>(bad[byte] ^ (1 << bit));
            EXPECT_FALSE(WireReader::open(bad, WireMagic::METADATA).ok()) << byte << "." << bit;
        }
    }
}

TEST(Wire, EveryCutMessage_isRefused) {
    const auto good = sample();
    for (size_t length = 0; length < good.size(); ++length)
        EXPECT_FALSE(WireReader::open(std::span(good).first(length), WireMagic::METADATA).ok());
    EXPECT_FALSE(WireReader::open(good, WireMagic::BUFFER).ok()) << "another kind of message";
}

TEST(Wire, LengthNearTheTopOf64Bits_doesNotWrap) {
    WireWriter wire(WireMagic::METADATA);
    wire.u64(UINT64_MAX).u64(1);
    const auto message = std::move(wire).finish();
    auto reader = WireReader::open(message, WireMagic::METADATA).value();

    EXPECT_TRUE(reader.bytes().empty());

    EXPECT_TRUE(reader.failed());
    EXPECT_EQ(reader.u32(), 0u) << "after a failure everything fails";
    EXPECT_EQ(reader.finish().error().code, Code::CORRUPT);
}

TEST(Wire, BytesTooMany_areRefused) {
    const auto message = sample();
    auto reader = WireReader::open(message, WireMagic::METADATA).value();
    (void)reader.u64();
    EXPECT_EQ(reader.finish().error().code, Code::CORRUPT);
}

} // namespace
} // namespace nixl::core
