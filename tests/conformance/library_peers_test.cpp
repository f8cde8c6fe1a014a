// SPDX-License-Identifier: Apache-2.0
// Peers that live, die, come back as others and are disconnected: what was theirs is never read
// from or written to anybody else.
#include <atomic>
#include <thread>

#include "tests/conformance/peer_pair.h"

namespace nixl::test {
namespace {

class LibraryPeers : public ::testing::TestWithParam<bool> {
  protected:
    ~LibraryPeers() override { RemoteWorld::hold(false); }

    /// From the peer's memory, or to it.
    static bool reads() { return GetParam(); }
    static Transfer make(Caller& caller, nixl_buffer remote) {
        return reads() ? caller.session.request(remote, caller.local)
                       : caller.session.request(caller.local, remote);
    }
    static bool moved(const Caller& caller, const Owner& owner) {
        return caller.memory == owner.memory;
    }
    static void expect_disconnected(Caller& caller, const Transfer& transfer, nixl_buffer remote) {
        EXPECT_EQ(transfer.wait(), NIXL_DISCONNECTED) << transfer.error();
        EXPECT_EQ(transfer.describe().first_bad_element, 0u);
        EXPECT_EQ(transfer.describe().bytes_done, 0u);
        EXPECT_NE(transfer.error(), "");
        EXPECT_EQ(caller.session.users(remote), 0u);
        EXPECT_EQ(caller.session.users(caller.local), 0u);
        EXPECT_EQ(caller.session.metrics().abandoned, 0u);
    }
};

TEST_P(LibraryPeers, PeerDiedBefore_transferIsDisconnected) {
    Owner owner;
    Caller caller;
    const nixl_buffer remote = caller.import(caller.connect(owner), owner);
    const Bytes theirs = owner.memory;
    const Transfer transfer = make(caller, remote);
    RemoteWorld::kill_latest(1); // the owner was opened first

    const nixl_status posted = transfer.post();

    EXPECT_TRUE(posted == NIXL_OK || posted == NIXL_DISCONNECTED) << posted;
    if (posted == NIXL_OK)
        expect_disconnected(caller, transfer, remote);
    EXPECT_TRUE(owner.memory == theirs);
    EXPECT_TRUE(caller.memory == Bytes(Owner::BYTES, 0xEE));
}

TEST_P(LibraryPeers, PeerDiesDuring_transferIsDisconnected) {
    Owner owner;
    Caller caller;
    const nixl_buffer remote = caller.import(caller.connect(owner), owner);
    const Transfer transfer = make(caller, remote);
    RemoteWorld::hold(true);
    ASSERT_EQ(transfer.post(), NIXL_OK);
    EXPECT_EQ(transfer.poll(), NIXL_IN_PROGRESS);
    EXPECT_EQ(caller.session.users(remote), 1u);

    RemoteWorld::kill_latest(1);

    expect_disconnected(caller, transfer, remote);
}

TEST_P(LibraryPeers, PeerDiesAfterwards_whatIsDoneStaysDone) {
    Owner owner;
    Caller caller;
    const nixl_buffer remote = caller.import(caller.connect(owner), owner);
    const Transfer transfer = make(caller, remote);
    ASSERT_EQ(transfer.run(), NIXL_OK);
    RemoteWorld::kill_latest(1);

    EXPECT_EQ(transfer.poll(), NIXL_OK);
    EXPECT_TRUE(moved(caller, owner));
    EXPECT_EQ(transfer.run(), NIXL_DISCONNECTED);
}

TEST_P(LibraryPeers, DisconnectInFlight_transferIsDisconnected) {
    Owner owner;
    Caller caller;
    const nixl_peer peer = caller.connect(owner);
    const nixl_buffer remote = caller.import(peer, owner);
    const Transfer transfer = make(caller, remote);
    RemoteWorld::hold(true);
    ASSERT_EQ(transfer.post(), NIXL_OK);

    EXPECT_EQ(caller.disconnect(peer), NIXL_OK);

    expect_disconnected(caller, transfer, remote);
    nixl_buffer another{};
    EXPECT_EQ(caller.try_import(peer, owner.exported, &another), NIXL_STALE);
    EXPECT_EQ(caller.disconnect(peer), NIXL_STALE);
    EXPECT_EQ(nixl_buffer_free(caller.session.context(), remote, PATIENCE_NS), NIXL_OK);
}

TEST_P(LibraryPeers, BufferTakenBackByItsOwner_transferIsStale) {
    Owner owner;
    Caller caller;
    const nixl_buffer remote = caller.import(caller.connect(owner), owner);
    const Transfer transfer = make(caller, remote);
    ASSERT_EQ(nixl_buffer_free(owner.session.context(), owner.buffer, 0), NIXL_OK);

    EXPECT_EQ(transfer.run(), NIXL_STALE);
    EXPECT_TRUE(caller.memory == Bytes(Owner::BYTES, 0xEE));
}

/// The same name again, with other memory in the same places.
TEST_P(LibraryPeers, NewIncarnation_fencesTheOldOne) {
    auto old = std::make_unique<Owner>(1, Settings{{"node_id", "worker"}});
    Caller caller;
    const nixl_peer before = caller.connect(*old);
    const nixl_buffer stale = caller.import(before, *old);
    const Transfer transfer = make(caller, stale);
    const std::vector<uint8_t> old_export = old->exported;
    const std::vector<uint8_t> old_metadata = old->metadata;
    old.reset();
    Owner fresh(2, Settings{{"node_id", "worker"}});
    const Bytes theirs = fresh.memory;

    const nixl_peer after = caller.connect(fresh);

    EXPECT_TRUE(after.index != before.index || after.generation != before.generation);
    EXPECT_GT(caller.describe(after).incarnation, caller.describe(before).incarnation);
    EXPECT_EQ(caller.describe(before).state, uint32_t{NIXL_PEER_DOWN});
    EXPECT_EQ(caller.describe(after).state, uint32_t{NIXL_PEER_UP});
    const nixl_status ended = transfer.run();
    EXPECT_TRUE(ended == NIXL_DISCONNECTED || ended == NIXL_STALE) << ended;
    nixl_buffer refused{};
    EXPECT_EQ(caller.try_import(before, fresh.exported, &refused), NIXL_DISCONNECTED);
    EXPECT_EQ(caller.try_import(after, old_export, &refused), NIXL_STALE) << "of the old one";
    nixl_peer again{};
    EXPECT_EQ(nixl_peer_connect(caller.session.context(), old_metadata.data(), old_metadata.size(),
                                &again),
              NIXL_STALE)
        << "what the old one left lying about";
    EXPECT_TRUE(fresh.memory == theirs) << "written through a handle of the old one";
    EXPECT_TRUE(caller.memory == Bytes(Owner::BYTES, 0xEE));
    const Transfer good = make(caller, caller.import(after, fresh));
    EXPECT_EQ(good.run(), NIXL_OK);
    EXPECT_TRUE(moved(caller, fresh));
}

/// Several ranks of a node that share its name are several peers.
TEST_P(LibraryPeers, TwoLiveOnesOfOneName_areTwoPeers) {
    Owner one(1, Settings{{"node_id", "node"}}), two(2, Settings{{"node_id", "node"}});
    Caller caller;
    const nixl_peer first = caller.connect(one), second = caller.connect(two);

    EXPECT_STRNE(caller.describe(first).name, caller.describe(second).name);
    EXPECT_EQ(caller.describe(first).state, uint32_t{NIXL_PEER_UP});
    EXPECT_EQ(caller.describe(second).state, uint32_t{NIXL_PEER_UP});
    const Transfer transfer = make(caller, caller.import(first, one));
    EXPECT_EQ(transfer.run(), NIXL_OK);
    EXPECT_TRUE(moved(caller, one));
}

/// Disconnected instead: whoever is connected next may get the same number.
TEST_P(LibraryPeers, DisconnectedThenAnother_oldBufferReachesNobody) {
    auto old = std::make_unique<Owner>(1);
    Caller caller;
    const nixl_peer before = caller.connect(*old);
    const nixl_buffer stale = caller.import(before, *old);
    const Transfer transfer = make(caller, stale);
    ASSERT_EQ(caller.disconnect(before), NIXL_OK);
    old.reset();
    Owner other(2);
    const Bytes theirs = other.memory;
    (void)caller.connect(other);

    const nixl_status ended = transfer.run();
    nixl_request late{};
    const nixl_status made =
        reads() ? nixl_request_create(caller.session.context(), stale, caller.local, &late)
                : nixl_request_create(caller.session.context(), caller.local, stale, &late);

    EXPECT_TRUE(ended == NIXL_DISCONNECTED || ended == NIXL_STALE) << ended;
    EXPECT_TRUE(other.memory == theirs) << "written to a peer that it was never meant for";
    EXPECT_TRUE(caller.memory == Bytes(Owner::BYTES, 0xEE)) << "read from another peer";
    EXPECT_TRUE(made != NIXL_OK || Transfer(caller.session.context(), late).run() < 0);
}

INSTANTIATE_TEST_SUITE_P(Ways, LibraryPeers, ::testing::Values(true, false),
                         [](const auto& info) { return info.param ? "read" : "write"; });

// ---- What is told of them -----------------------------------------------------------------------

TEST(LibraryPeerStates, UpSuspectDown_areToldAsTheyHappen) {
    Owner owner(1, Settings{{"node_id", "somebody"}});
    Caller caller;
    const nixl_peer peer = caller.connect(owner);
    EXPECT_EQ(caller.describe(peer).state, uint32_t{NIXL_PEER_UP});
    EXPECT_STREQ(caller.describe(peer).name, "somebody");
    EXPECT_NE(caller.describe(peer).incarnation, 0u);

    RemoteWorld::tell(NIXL_PEER_SUSPECT, 1);
    EXPECT_EQ(caller.describe(peer).state, uint32_t{NIXL_PEER_SUSPECT});
    RemoteWorld::tell(NIXL_PEER_UP, 1);
    EXPECT_EQ(caller.describe(peer).state, uint32_t{NIXL_PEER_UP});
    RemoteWorld::kill_latest(1);
    EXPECT_EQ(caller.describe(peer).state, uint32_t{NIXL_PEER_DOWN});

    EXPECT_EQ(caller.disconnect(peer), NIXL_OK);
    nixl_peer_description out = NIXL_INIT(nixl_peer_description);
    EXPECT_EQ(nixl_peer_describe(caller.session.context(), peer, &out), NIXL_STALE);
}

TEST(LibraryPeerStates, ConnectedTwice_isTheSamePeer) {
    Owner owner;
    Caller caller;
    const nixl_peer first = caller.connect(owner), second = caller.connect(owner);
    EXPECT_EQ(first.index, second.index);
    EXPECT_EQ(first.generation, second.generation);
}

constexpr int ROUNDS = 5000;

TEST(LibraryPeerStates, DescribedWhileItIsDisconnected_isWholeOrStale) {
    Owner owner;
    Caller caller;
    const std::string name = caller.describe(caller.connect(owner)).name;
    std::atomic<uint64_t> shown{0};
    const auto show = [&](nixl_peer peer) { shown = uint64_t{peer.generation} << 32 | peer.index; };
    std::atomic<bool> over{false};
    std::atomic<uint64_t> whole{0};
    std::thread looker([&] {
        while (!over) {
            const uint64_t now = shown;
            const nixl_peer peer{static_cast<uint32_t>(now), static_cast<uint32_t>(now >> 32)};
            nixl_peer_description out = NIXL_INIT(nixl_peer_description);
            if (nixl_peer_describe(caller.session.context(), peer, &out) != NIXL_OK)
                continue;
            EXPECT_EQ(out.name, name);
            EXPECT_EQ(out.state, uint32_t{NIXL_PEER_UP});
            ++whole;
            nixl_buffer buffer{}; // may come too late
            if (caller.try_import(peer, owner.exported, &buffer) == NIXL_OK) {
                EXPECT_EQ(nixl_buffer_free(caller.session.context(), buffer, -1), NIXL_OK);
            }
        }
    });
    show(caller.connect(owner));
    EXPECT_TRUE(eventually([&] { return whole.load() != 0; }));
    for (int round = 0; round < ROUNDS; ++round) {
        const nixl_peer peer = caller.connect(owner);
        show(peer);
        EXPECT_EQ(caller.disconnect(peer), NIXL_OK);
    }
    over = true;
    looker.join();
}

TEST(LibraryPeerStates, MadeUpHandles_areStale) {
    Owner owner;
    Caller caller;
    const nixl_peer peer = caller.connect(owner);
    for (const nixl_peer handle :
         {nixl_peer{0, 0}, nixl_peer{UINT32_MAX, 1}, nixl_peer{peer.index, peer.generation + 2},
          nixl_peer{peer.index + 1, peer.generation}}) {
        nixl_peer_description out = NIXL_INIT(nixl_peer_description);
        nixl_buffer buffer{};
        EXPECT_EQ(nixl_peer_describe(caller.session.context(), handle, &out), NIXL_STALE);
        EXPECT_EQ(caller.try_import(handle, owner.exported, &buffer), NIXL_STALE);
        EXPECT_EQ(caller.disconnect(handle), NIXL_STALE);
    }
}

} // namespace
} // namespace nixl::test
