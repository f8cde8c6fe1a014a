// SPDX-License-Identifier: Apache-2.0
// Two contexts that reach each other over the test-only remote backend.
#pragma once

#include <cstring>
#include <memory>
#include <vector>

#include "tests/conformance/remote_backend.h"
#include "tests/conformance/session.h"

namespace nixl::test {

/// A context that offers memory to others.
struct Owner {
    static constexpr uint64_t BYTES = 64 * 1024;

    explicit Owner(uint64_t seed = 1, const Settings& settings = {})
        : session(settings), memory(random_bytes(BYTES, seed)) {
        add_remote_backend(session.context());
        buffer = session.wrap(memory);
        exported = export_of(session.context(), buffer);
        metadata = metadata_of(session.context());
    }
    Session session;
    Bytes memory;
    nixl_buffer buffer{};
    std::vector<uint8_t> exported, metadata;
};

/// A context that reaches into those of owners.
///
/// The backend instance of an Owner is opened when it is made, that of a Caller at the first
/// connect().
struct Caller {
    Caller() { add_remote_backend(session.context()); }

    nixl_peer connect(const Owner& owner) {
        nixl_peer peer{};
        EXPECT_EQ(nixl_peer_connect(session.context(), owner.metadata.data(), owner.metadata.size(),
                                    &peer),
                  NIXL_OK)
            << last_error().message;
        return peer;
    }
    nixl_status try_import(nixl_peer peer, const std::vector<uint8_t>& exported, nixl_buffer* out) {
        return nixl_buffer_import(session.context(), peer, exported.data(), exported.size(), -1,
                                  out);
    }
    nixl_buffer import(nixl_peer peer, const Owner& owner) {
        nixl_buffer buffer{};
        EXPECT_EQ(try_import(peer, owner.exported, &buffer), NIXL_OK) << last_error().message;
        return buffer;
    }
    nixl_peer_description describe(nixl_peer peer) {
        nixl_peer_description out = NIXL_INIT(nixl_peer_description);
        EXPECT_EQ(nixl_peer_describe(session.context(), peer, &out), NIXL_OK);
        return out;
    }
    nixl_status disconnect(nixl_peer peer) { return nixl_peer_disconnect(session.context(), peer); }

    Session session;
    Bytes memory = Bytes(Owner::BYTES, 0xEE);
    nixl_buffer local = session.wrap(memory);
};

/// A read of an owner's memory that stays in flight until it is let go.
struct HeldTransfer {
    HeldTransfer() { RemoteWorld::hold(true); }
    ~HeldTransfer() { let_go(); }
    HeldTransfer(const HeldTransfer&) = delete;
    HeldTransfer& operator=(const HeldTransfer&) = delete;

    static void let_go() { RemoteWorld::hold(false); }
    [[nodiscard]] bool moved() const { return caller.memory == owner.memory; }

    Owner owner;
    Caller caller;
    const nixl_buffer remote = caller.import(caller.connect(owner), owner);
    Transfer transfer = caller.session.request(remote, caller.local);
};

} // namespace nixl::test
