// SPDX-License-Identifier: Apache-2.0
// Other contexts as this one knows them: their addresses, whether they live, what they said.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <nixl/nixl_c.h>

#include "base/annotations.h"
#include "memory/region_table.h"
#include "peer/node_name.h"

namespace nixl::core {

struct PeerFacts {
    nixl_peer_id id = 0;      ///< by which backends know it; never used again
    uint64_t incarnation = 0; ///< the larger one is the later run of the same name
    uint32_t backends = 0;    ///< bit per backend that is connected
    std::string name;

    [[nodiscard]] bool reached_by(uint32_t backend) const noexcept {
        return (backends >> backend & 1) != 0;
    }
};

struct Peer : Slot {
    std::atomic<uint32_t> state{0}; ///< NIXL_PEER_*; 0: slot unused
    PeerFacts facts; ///< written by connect() and disconnect() with the table's mutex held
};

/// An exported buffer: what a peer needs to import it, per backend.
struct ExportedBuffer {
    uint32_t kind = NIXL_KIND_NONE;
    int32_t device = -1;
    uint64_t bytes = 0;
    uint32_t flags = 0;
    std::string peer; ///< who exported it, and in which incarnation
    uint64_t incarnation = 0;
    struct Part {
        std::string backend;
        std::span<const uint8_t> bytes;
    };
    std::vector<Part> parts;
};

/// Threads: any thread.
class Peers {
  public:
    static constexpr uint32_t MAX_PEERS = 65536;
    static constexpr uint64_t MAX_NOTIFICATION_BYTES = 64u << 10;
    static constexpr size_t MAX_NOTIFICATIONS = 4096;

    /// `name`: how peers know this context, see NodeName; empty: one that no other context has. A
    /// context that is opened later under the same name takes the place of the earlier one.
    Peers(const BackendRegistry& registry, std::string name);

    /// What another context needs to connect() to this one.
    Result<std::vector<uint8_t>> metadata() EXCLUDES(naming_);
    /// A newer incarnation of a known name takes the older one down.
    /// Errors: STALE a newer one is known; DISCONNECTED it went down meanwhile.
    Result<nixl_peer> connect(std::span<const uint8_t> metadata) EXCLUDES(connecting_);
    Result<void> disconnect(nixl_peer handle) EXCLUDES(connecting_);
    /// NIXL_PEER_*; 0: the peer was disconnected.
    [[nodiscard]] uint32_t state(nixl_peer handle) noexcept;
    /// A copy, whoever disconnects it meanwhile. Errors: STALE it was disconnected.
    Result<PeerFacts> facts(nixl_peer handle) EXCLUDES(mutex_);
    /// The same of a peer that can be used. Errors: DISCONNECTED it is down.
    Result<PeerFacts> facts_if_up(nixl_peer handle) EXCLUDES(mutex_);
    void close() EXCLUDES(mutex_);

    Result<std::vector<uint8_t>> export_region(const Region& region) EXCLUDES(naming_);
    static Result<ExportedBuffer> parse(std::span<const uint8_t> exported);
    /// Registrations per backend number; at least one. INVALID_ARGUMENT another peer exported it,
    /// STALE another incarnation of this one.
    Result<std::vector<std::pair<uint32_t, void*>>>
    import_region(const PeerFacts& peer, const ExportedBuffer& exported, int32_t accessing_device);

    /// A peer that is down stays down: whoever is back is connected anew.
    void event(nixl_peer_id peer, int event, int32_t detail) EXCLUDES(mutex_);
    Code notified(nixl_peer_id peer, const void* message, uint64_t bytes) EXCLUDES(mutex_);
    /// OUT_OF_RANGE leaves the message where it is.
    Result<std::pair<nixl_peer, std::vector<uint8_t>>> receive(uint64_t capacity, uint64_t* needed)
        EXCLUDES(mutex_);

  private:
    struct Notification {
        nixl_peer from;
        std::vector<uint8_t> message;
    };
    const std::string& name() EXCLUDES(naming_);
    using Addresses = std::vector<std::pair<std::string, std::span<const uint8_t>>>;
    Result<uint32_t> connect_backends(const PeerFacts& peer, const Addresses& addresses);
    void take_down(Peer& peer) EXCLUDES(mutex_);
    void forget(Peer& peer) EXCLUDES(mutex_);
    Peer* with_id(nixl_peer_id id) REQUIRES(mutex_);

    static constexpr uint32_t CONNECTING = 0x100; // a state that no handle shows

    const BackendRegistry& registry_;
    const uint64_t incarnation_;
    const std::string wanted_name_;
    Mutex naming_;
    std::optional<NodeName> name_ GUARDED_BY(naming_); // held from the first one who is told
    SlotMap<Peer, 16> slots_;
    Mutex connecting_; // one connect() or disconnect() at a time: it looks through the names
    Mutex mutex_;
    nixl_peer_id last_id_ GUARDED_BY(mutex_) = 0;
    std::map<nixl_peer_id, uint32_t> slots_by_id_ GUARDED_BY(mutex_);
    std::deque<Notification> notifications_ GUARDED_BY(mutex_);
};

} // namespace nixl::core
