// SPDX-License-Identifier: Apache-2.0
// Who is known as a peer: names, incarnations, events that come early or late.
#include "peer/peers.h"

#include <functional>

#include <gtest/gtest.h>

#include "null_host.h"
#include "wire/codec.h"

namespace nixl::core {
namespace {

/// A transport that only remembers what it was asked.
struct Link {
    std::vector<nixl_peer_id> connected, disconnected;
    uint32_t opened = 0;
    nixl_status open_answer = NIXL_OK;
    std::function<void(nixl_peer_id)> while_connecting;
};
Link* link_now = nullptr;

nixl_backend_v1 link_table(StubBackend& stub) {
    nixl_backend_v1 table = stub.table();
    table.open = [](void* self, const nixl_host_v1*, void** instance, nixl_error_text*) {
        ++link_now->opened;
        *instance = self;
        return link_now->open_answer;
    };
    table.address = [](void*, void*, uint64_t* bytes, nixl_error_text*) {
        *bytes = 0;
        return nixl_status{NIXL_OK};
    };
    table.connect = [](void*, nixl_peer_id peer, const void*, uint64_t, nixl_error_text*) {
        link_now->connected.push_back(peer);
        if (link_now->while_connecting)
            link_now->while_connecting(peer);
        return nixl_status{NIXL_OK};
    };
    table.disconnect = [](void*, nixl_peer_id peer) { link_now->disconnected.push_back(peer); };
    return table;
}

class PeersTest : public ::testing::Test {
  protected:
    PeersTest() {
        link_now = &link_;
        EXPECT_TRUE(registry_.add(link_table(stub_), BackendOrigin::ADDED, "test", nullptr).ok());
    }
    static std::vector<uint8_t> metadata(const std::string& name, uint64_t incarnation) {
        WireWriter wire(WireMagic::METADATA);
        wire.u64(incarnation).text(name).u32(1).text("stub").bytes({});
        return std::move(wire).finish();
    }
    nixl_peer connect(const std::string& name, uint64_t incarnation) {
        auto peer = peers_.connect(metadata(name, incarnation));
        EXPECT_TRUE(peer.ok()) << peer.error().message;
        return peer.ok() ? peer.value() : nixl_peer{};
    }
    uint32_t state(nixl_peer peer) { return peers_.state(peer); }

    Link link_;
    StubBackend stub_;
    NullHost host_;
    const nixl_host_v1 table_ = host_.table();
    BackendRegistry registry_{table_};
    Peers peers_{registry_, "me"};
};

TEST_F(PeersTest, NewerIncarnation_fencesTheOlderOneForGood) {
    const nixl_peer older = connect("node", 5);
    const nixl_peer newer = connect("node", 6);

    EXPECT_EQ(state(older), uint32_t{NIXL_PEER_DOWN});
    EXPECT_EQ(link_.disconnected, (std::vector<nixl_peer_id>{1}));
    peers_.event(1, NIXL_PEER_UP, 0);
    peers_.event(1, NIXL_PEER_SUSPECT, 0);
    EXPECT_EQ(state(older), uint32_t{NIXL_PEER_DOWN}) << "nothing revives it";
    EXPECT_EQ(state(newer), uint32_t{NIXL_PEER_UP});
    EXPECT_EQ(connect("node", 6).index, newer.index) << "known already";
}

TEST_F(PeersTest, OlderMetadata_isStaleAndLeavesTheNewerAlone) {
    const nixl_peer newer = connect("node", 6);
    EXPECT_EQ(peers_.connect(metadata("node", 5)).error().code, Code::STALE);
    EXPECT_EQ(state(newer), uint32_t{NIXL_PEER_UP});
    EXPECT_TRUE(link_.disconnected.empty());
}

TEST_F(PeersTest, Incarnations_growWithEachContext) {
    const auto incarnation = [](Peers& peers) {
        const auto told = peers.metadata().value();
        return WireReader::open(told, WireMagic::METADATA).value().u64();
    };
    Peers first(registry_, "a"), second(registry_, "b");
    EXPECT_LT(incarnation(first), incarnation(second));
    EXPECT_GT(incarnation(first), 1'600'000'000'000'000'000u) << "the time";
}

TEST_F(PeersTest, DownWhileItConnects_isNotLost) {
    link_.while_connecting = [&](nixl_peer_id id) { peers_.event(id, NIXL_PEER_DOWN, 7); };
    EXPECT_EQ(peers_.connect(metadata("node", 1)).error().code, Code::DISCONNECTED);
    EXPECT_EQ(link_.disconnected, link_.connected);
    link_.while_connecting = [&](nixl_peer_id id) { peers_.event(id, NIXL_PEER_SUSPECT, 0); };
    EXPECT_EQ(state(connect("node", 1)), uint32_t{NIXL_PEER_UP});
}

TEST_F(PeersTest, WhatComesLate_doesNotHitTheNextPeerOfTheSlot) {
    const nixl_peer first = connect("one", 1);
    ASSERT_TRUE(peers_.disconnect(first).ok());
    const nixl_peer second = connect("two", 1);
    ASSERT_EQ(second.index, first.index);

    peers_.event(link_.connected[0], NIXL_PEER_DOWN, 0);
    EXPECT_EQ(peers_.notified(link_.connected[0], "x", 1), Code::DISCONNECTED);

    EXPECT_EQ(state(second), uint32_t{NIXL_PEER_UP});
    EXPECT_EQ(peers_.notified(link_.connected[1], "x", 1), Code::OK);
    uint64_t needed = 0;
    EXPECT_EQ(peers_.receive(1, &needed).value().first.generation, second.generation);
    EXPECT_EQ(peers_.disconnect(first).error().code, Code::STALE);
}

TEST_F(PeersTest, BackendThatDoesNotOpen_leavesNoSlotBehind) {
    link_.open_answer = NIXL_NO_MEMORY;
    for (int time = 0; time < 3; ++time)
        EXPECT_EQ(peers_.connect(metadata("node", 1)).error().code, Code::NO_MEMORY);
    link_.open_answer = NIXL_OK;
    EXPECT_EQ(connect("node", 1).index, 0u);
}

TEST_F(PeersTest, AbandonedBackend_isNotOpenedAgainToDisconnect) {
    (void)connect("node", 1);
    registry_.backends()[0]->abandon();
    peers_.close();
    EXPECT_EQ(link_.opened, 1u);
    EXPECT_TRUE(link_.disconnected.empty());
}

TEST_F(PeersTest, ContextsOfOneNode_haveNamesOfTheirOwn) {
    const auto name = [](Peers& peers) {
        const auto told = peers.metadata().value();
        auto wire = WireReader::open(told, WireMagic::METADATA).value();
        (void)wire.u64();
        return wire.text();
    };
    const std::string node = "unit-test-node-" + std::to_string(::getpid());
    {
        Peers first(registry_, node), second(registry_, node);
        EXPECT_EQ(name(first), node);
        EXPECT_EQ(name(second), node + "#2");
        EXPECT_EQ(name(first), node) << "it stays";
    }
    Peers again(registry_, node);
    EXPECT_EQ(name(again), node) << "whoever comes back takes the place";
}

TEST_F(PeersTest, BufferOfAnotherPeerOrRun_isRefused) {
    const PeerFacts peer = peers_.facts(connect("node", 5)).value();
    ExportedBuffer buffer;
    buffer.kind = NIXL_KIND_HOST;
    buffer.peer = "other";
    buffer.incarnation = 5;
    EXPECT_EQ(peers_.import_region(peer, buffer, -1).error().code, Code::INVALID_ARGUMENT);
    buffer.peer = "node";
    buffer.incarnation = 4;
    EXPECT_EQ(peers_.import_region(peer, buffer, -1).error().code, Code::STALE);
    buffer.incarnation = 5;
    EXPECT_EQ(peers_.import_region(peer, buffer, -1).error().code, Code::UNSUPPORTED)
        << "no part of it is for this transport";
}

} // namespace
} // namespace nixl::core
