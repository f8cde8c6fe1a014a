// SPDX-License-Identifier: Apache-2.0
// Metadata and exported buffers from a peer that is broken or hostile: damaged in any way, even
// with a checksum that fits, they are refused or taken, and nothing else happens.
#include <algorithm>
#include <functional>
#include <random>

#include "tests/conformance/peer_pair.h"

namespace nixl::test {
namespace {

using Message = std::vector<uint8_t>;

constexpr size_t CHECKSUM_BYTES = 4, HEADER_BYTES = 8;

uint32_t crc32_of(const Message& bytes) {
    uint32_t value = 0xFFFFFFFFu;
    for (const uint8_t byte : bytes) {
        value ^= byte;
        for (int bit = 0; bit < 8; ++bit)
            value = (value >> 1) ^ ((value & 1) != 0 ? 0xEDB88320u : 0);
    }
    return ~value;
}

/// The message without its checksum, and with a new one.
Message body_of(Message message) {
    message.resize(message.size() - CHECKSUM_BYTES);
    return message;
}
Message sealed(Message body) {
    const uint32_t sum = crc32_of(body);
    for (size_t i = 0; i < CHECKSUM_BYTES; ++i)
        body.push_back(static_cast<uint8_t>(sum >> (8 * i)));
    return body;
}

void store(Message& message, size_t at, uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes && at + i < message.size(); ++i)
        message[at + i] = static_cast<uint8_t>(value >> (8 * i));
}

/// Numbers that wrap, or are too large for what follows.
constexpr uint64_t EXTREMES[] = {0,          1,          64,         65,         0x7FFFFFFF,
                                 0x80000000, 0xFFFFFFFF, 1ull << 32, 1ull << 63, UINT64_MAX - 7,
                                 UINT64_MAX};

Message damaged(Message body, std::mt19937_64& random) {
    const auto place = [&] { return random() % body.size(); };
    for (uint64_t changes = 1 + random() % 3; changes != 0; --changes)
        switch (random() % 5) {
        case 0:
            body[place()] ^= static_cast<uint8_t>(1u << random() % 8);
            break;
        case 1:
            store(body, place(), EXTREMES[random() % std::size(EXTREMES)],
                  random() % 2 == 0 ? 4 : 8);
            break;
        case 2:
            body.resize(std::max<size_t>(place(), 1));
            break;
        case 3: { // some of it twice
            const Message part(body.begin() + static_cast<std::ptrdiff_t>(place()), body.end());
            body.insert(body.begin() + static_cast<std::ptrdiff_t>(place()), part.begin(),
                        part.end());
            break;
        }
        case 4:
            body.erase(body.begin() + static_cast<std::ptrdiff_t>(place()));
            if (body.empty())
                body.push_back(0);
            break;
        }
    return body;
}

class LibraryWire : public ::testing::Test {
  protected:
    nixl_status try_connect(const Message& message, nixl_peer* out) {
        return nixl_peer_connect(caller_.session.context(), message.data(), message.size(), out);
    }
    /// What became of it, after which all is as before.
    nixl_status try_metadata(const Message& message) {
        nixl_peer made{};
        const nixl_status status = try_connect(message, &made);
        const bool is_ours = made.index == peer_.index && made.generation == peer_.generation;
        EXPECT_TRUE(status != NIXL_OK || is_ours || caller_.disconnect(made) == NIXL_OK);
        // It may have had the owner's name, and taken it down.
        if (caller_.describe(peer_).state == NIXL_PEER_DOWN) {
            EXPECT_EQ(caller_.disconnect(peer_), NIXL_OK);
            peer_ = caller_.connect(owner_);
        }
        return status;
    }
    nixl_status try_export(const Message& message) {
        nixl_buffer buffer{};
        const nixl_status status = caller_.try_import(peer_, message, &buffer);
        EXPECT_TRUE(status != NIXL_OK ||
                    nixl_buffer_free(caller_.session.context(), buffer, 0) == NIXL_OK);
        return status;
    }
    static bool is_refusal(nixl_status status) {
        return status == NIXL_CORRUPT || status == NIXL_UNSUPPORTED ||
               status == NIXL_DISCONNECTED || status == NIXL_STALE || // an earlier run's
               status == NIXL_INVALID_ARGUMENT;                       // another peer's
    }
    void expect_still_served() {
        const Transfer transfer =
            caller_.session.request(caller_.import(peer_, owner_), caller_.local);
        EXPECT_EQ(transfer.run(), NIXL_OK) << transfer.error();
        EXPECT_TRUE(caller_.memory == owner_.memory);
    }

    Owner owner_{1, {{"node_id", "owner"}}}; // so that seeds damage the same bytes in every run
    Caller caller_;
    nixl_peer peer_ = caller_.connect(owner_);
};

TEST_F(LibraryWire, ChecksumOfTheTests_isThatOfTheLibrary) {
    EXPECT_EQ(sealed(body_of(owner_.metadata)), owner_.metadata);
    EXPECT_EQ(sealed(body_of(owner_.exported)), owner_.exported);
}

TEST_F(LibraryWire, EveryFlippedBit_isCorrupt) {
    for (const bool is_export : {false, true}) {
        const Message& good = is_export ? owner_.exported : owner_.metadata;
        for (size_t bit = 0; bit < good.size() * 8; ++bit) {
            Message bad = good;
            bad[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
            EXPECT_EQ(is_export ? try_export(bad) : try_metadata(bad), NIXL_CORRUPT)
                << "bit " << bit;
        }
    }
    expect_still_served();
}

TEST_F(LibraryWire, EveryCut_isCorruptWithAndWithoutAChecksum) {
    for (const bool is_export : {false, true}) {
        const Message& good = is_export ? owner_.exported : owner_.metadata;
        for (size_t length = 0; length < good.size() - CHECKSUM_BYTES; ++length) {
            const Message cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length));
            EXPECT_EQ(is_export ? try_export(sealed(cut)) : try_metadata(sealed(cut)), NIXL_CORRUPT)
                << length;
            EXPECT_LT(is_export ? try_export(cut) : try_metadata(cut), 0) << length;
        }
    }
    expect_still_served();
}

/// D7: a length that makes an end wrap, in each place where one could stand.
TEST_F(LibraryWire, LengthsUpTo64Bits_areTakenOrRefused) {
    for (const bool is_export : {false, true}) {
        const Message good = body_of(is_export ? owner_.exported : owner_.metadata);
        for (size_t at = HEADER_BYTES; at < good.size(); ++at)
            for (const uint64_t value : EXTREMES) {
                Message bad = good;
                store(bad, at, value, 8);
                const nixl_status status =
                    is_export ? try_export(sealed(bad)) : try_metadata(sealed(bad));
                EXPECT_TRUE(status == NIXL_OK || is_refusal(status))
                    << status << " at " << at << ": " << last_error().message;
            }
    }
    expect_still_served();
}

TEST_F(LibraryWire, AnyDamageWithAFittingChecksum_isTakenOrRefused) {
    for (uint64_t seed = 1; seed <= seed_count() * 10; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        std::mt19937_64 random(seed);
        const bool is_export = seed % 2 == 0;
        const Message bad =
            sealed(damaged(body_of(is_export ? owner_.exported : owner_.metadata), random));

        const nixl_status status = is_export ? try_export(bad) : try_metadata(bad);

        ASSERT_TRUE(status == NIXL_OK || is_refusal(status))
            << status << ": " << last_error().message;
    }
    expect_still_served();
}

/// What is refused changes nothing: the peer of that name lives on.
TEST_F(LibraryWire, RefusedMetadataOfALivingPeersName_leavesThePeerUp) {
    Message other = body_of(owner_.metadata);
    store(other, HEADER_BYTES, 4711, 8);                                // another incarnation ...
    store(other, other.size() - sizeof(uint64_t), 0, sizeof(uint64_t)); // ... nobody listens
    nixl_peer made{};

    EXPECT_LT(try_connect(sealed(other), &made), 0);

    EXPECT_EQ(caller_.describe(peer_).state, uint32_t{NIXL_PEER_UP});
    expect_still_served();
}

/// A backend named twice is one registration, or none: nothing may be left of the other.
TEST_F(LibraryWire, TransportNamedTwice_leavesNoRegistration) {
    // Incarnation and name of the owner; kind, device, bytes and flags of the buffer.
    constexpr size_t COUNT_AT = HEADER_BYTES + 8 + 8 + sizeof "owner" - 1 + 4 + 4 + 8 + 4;
    constexpr size_t PARTS_AT = COUNT_AT + 4;
    Message twice = body_of(owner_.exported);
    const Message parts(twice.begin() + PARTS_AT, twice.end());
    ASSERT_EQ(twice[COUNT_AT], 1u);
    store(twice, COUNT_AT, 2, 4);
    twice.insert(twice.end(), parts.begin(), parts.end());
    const uint64_t before = RemoteWorld::objects();

    const nixl_status status = try_export(sealed(twice));

    EXPECT_TRUE(status == NIXL_OK || is_refusal(status)) << status;
    EXPECT_EQ(RemoteWorld::objects(), before);
}

TEST_F(LibraryWire, MessagesOfTheOtherKindAndNulls_areRefused) {
    const nixl_peer peer = peer_;
    nixl_peer made{};
    nixl_buffer buffer{};
    const nixl_context context = caller_.session.context();
    EXPECT_EQ(try_connect(owner_.exported, &made), NIXL_CORRUPT);
    EXPECT_EQ(caller_.try_import(peer, owner_.metadata, &buffer), NIXL_CORRUPT);
    EXPECT_EQ(nixl_peer_connect(context, nullptr, 10, &made), NIXL_INVALID_ARGUMENT);
    EXPECT_EQ(nixl_buffer_import(context, peer, nullptr, 10, -1, &buffer), NIXL_INVALID_ARGUMENT);
    EXPECT_EQ(nixl_peer_connect(context, owner_.metadata.data(), 0, &made), NIXL_CORRUPT);
    EXPECT_EQ(nixl_peer_connect(context, owner_.metadata.data(), owner_.metadata.size(), nullptr),
              NIXL_INVALID_ARGUMENT);
    Message newer = body_of(owner_.metadata);
    store(newer, 4, 2, 2);
    EXPECT_EQ(try_connect(sealed(newer), &made), NIXL_UNSUPPORTED) << "of a later version";
}

} // namespace
} // namespace nixl::test
