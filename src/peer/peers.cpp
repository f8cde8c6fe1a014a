// SPDX-License-Identifier: Apache-2.0
#include "peer/peers.h"

#include <algorithm>
#include <ctime>
#include <random>

#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "wire/codec.h"

namespace nixl::core {

namespace {

constexpr uint64_t MAX_OPAQUE_BYTES = 1u << 20; // of one backend's address or export
constexpr uint32_t MAX_PARTS = 64;
constexpr size_t MAX_NAME_BYTES = 127;

/// Nanoseconds since 1970, later for each context of this process: what runs later is larger, also
/// after a crash and on another machine that took over the name.
uint64_t new_incarnation() {
    static std::atomic<uint64_t> last{0};
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    const uint64_t time =
        static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
    uint64_t before = last.load();
    uint64_t fresh = 0;
    do
        fresh = std::max(time, before + 1);
    while (!last.compare_exchange_weak(before, fresh));
    return fresh;
}

std::string unique_name() {
    char host[65] = "localhost";
    gethostname(host, sizeof host - 1);
    std::random_device random;
    return std::string(host) + ":" + std::to_string(getpid()) + ":" +
           std::to_string(random() % 1'000'000);
}

/// Calls `fill(out, &bytes, text)` with room that grows once to what it asks for.
template <typename Fill>
Result<std::vector<uint8_t>> opaque(const Backend& backend, const char* call, Fill fill) {
    std::vector<uint8_t> out(256);
    for (;;) {
        ErrorText text;
        uint64_t bytes = out.size();
        const nixl_status status = fill(out.data(), &bytes, text.out());
        if (status == NIXL_OUT_OF_RANGE && bytes > out.size() && bytes <= MAX_OPAQUE_BYTES) {
            out.resize(bytes);
            continue;
        }
        if (status != NIXL_OK)
            return text.to_error(status, backend.name(), call);
        out.resize(std::min<uint64_t>(bytes, out.size()));
        return out;
    }
}

} // namespace

Peers::Peers(const BackendRegistry& registry, std::string name)
    : registry_(registry), incarnation_(new_incarnation()),
      wanted_name_(name.empty() ? unique_name() : std::move(name)), slots_(MAX_PEERS) {}

const std::string& Peers::name() {
    const MutexLock lock(naming_);
    if (!name_)
        name_ = NodeName::hold(wanted_name_);
    return name_->text();
}

Result<std::vector<uint8_t>> Peers::metadata() {
    std::vector<std::pair<std::string, std::vector<uint8_t>>> parts;
    for (const auto& backend : registry_.backends()) {
        if (!backend->available() || !backend->remote() || backend->table().address == nullptr)
            continue;
        NIXL_ASSIGN_OR_RETURN(void* instance, backend->instance());
        NIXL_ASSIGN_OR_RETURN(auto address,
                              opaque(*backend, "address", [&](void* out, uint64_t* n, auto* text) {
                                  return backend->table().address(instance, out, n, text);
                              }));
        parts.emplace_back(backend->name(), std::move(address));
    }
    WireWriter wire(WireMagic::METADATA);
    wire.u64(incarnation_).text(name()).u32(static_cast<uint32_t>(parts.size()));
    for (const auto& [name, address] : parts)
        wire.text(name).bytes(address);
    return std::move(wire).finish();
}

Result<nixl_peer> Peers::connect(std::span<const uint8_t> metadata) {
    NIXL_ASSIGN_OR_RETURN(WireReader wire, WireReader::open(metadata, WireMagic::METADATA));
    const uint64_t incarnation = wire.u64();
    const std::string name = wire.text();
    const uint32_t count = wire.u32();
    Addresses parts;
    for (uint32_t i = 0; i < count && i < MAX_PARTS && !wire.failed(); ++i) {
        std::string backend = wire.text();
        parts.emplace_back(std::move(backend), wire.bytes());
    }
    NIXL_RETURN_IF_ERROR(wire.finish());
    if (name.empty() || name.size() > MAX_NAME_BYTES)
        return Error(Code::CORRUPT,
                     "metadata names a peer of " + std::to_string(name.size()) + " characters");
    const MutexLock lock(connecting_);
    std::vector<Peer*> fenced; // once the newer one is connected: what is refused changes nothing
    for (uint32_t i = 0; i < slots_.size(); ++i) {
        Peer& known = slots_.at(i);
        if (known.state.load() == 0 || known.facts.name != name)
            continue;
        if (incarnation < known.facts.incarnation)
            return Error(Code::STALE,
                         "metadata of an earlier run of " + name + ", a later one is connected",
                         "ask the peer for its present metadata");
        if (known.facts.incarnation == incarnation && known.state.load() == NIXL_PEER_UP)
            return nixl_peer{known.index, known.generation.load()};
        fenced.push_back(&known);
    }
    Peer* peer = slots_.take();
    if (peer == nullptr)
        return Error(Code::AGAIN, std::to_string(MAX_PEERS) + " peers are known already");
    PeerFacts facts{0, incarnation, 0, name};
    {
        const MutexLock writing(mutex_);
        facts.id = ++last_id_;
        peer->facts = facts;
        slots_by_id_.emplace(facts.id, peer->index);
        peer->state.store(CONNECTING);
    }
    auto connected = connect_backends(facts, parts);
    if (connected.ok()) {
        const MutexLock writing(mutex_);
        peer->facts.backends = connected.value();
    }
    uint32_t expected = CONNECTING;
    if (connected.ok() && !peer->state.compare_exchange_strong(expected, NIXL_PEER_UP))
        connected = Error(Code::DISCONNECTED, "peer " + name + " went down while connecting");
    if (!connected.ok()) {
        SlotMap<Peer, 16>::retire(*peer);
        forget(*peer);
        return std::move(connected).error();
    }
    for (Peer* earlier : fenced)
        take_down(*earlier);
    return nixl_peer{peer->index, peer->generation.load()};
}

uint32_t Peers::state(nixl_peer handle) noexcept {
    const Peer* const peer = slots_.find(handle.index, handle.generation);
    const uint32_t state = peer != nullptr ? peer->state.load() : 0;
    // Retired before its state changes: found again, the state was its own.
    return slots_.find(handle.index, handle.generation) != nullptr ? state : 0;
}

Result<PeerFacts> Peers::facts(nixl_peer handle) {
    const MutexLock lock(mutex_);
    // The slot is not given to another peer while the mutex is held.
    const Peer* const peer = slots_.find(handle.index, handle.generation);
    if (peer == nullptr)
        return Error(Code::STALE, "the peer was disconnected");
    return peer->facts;
}

Result<PeerFacts> Peers::facts_if_up(nixl_peer handle) {
    NIXL_ASSIGN_OR_RETURN(auto facts, this->facts(handle));
    const uint32_t now = state(handle);
    if (now == 0)
        return Error(Code::STALE, "the peer was disconnected");
    if (now == NIXL_PEER_DOWN)
        return Error(Code::DISCONNECTED, "peer " + facts.name + " is down");
    return facts;
}

/// With every backend that both sides have; one is enough. Returns a bit per backend.
Result<uint32_t> Peers::connect_backends(const PeerFacts& peer, const Addresses& addresses) {
    uint32_t reached = 0;
    Error last(Code::UNSUPPORTED, "no backend here reaches " + peer.name);
    for (const auto& [backend_name, address] : addresses) {
        for (const auto& backend : registry_.backends()) {
            if (backend->name() != backend_name || !backend->available() || !backend->remote())
                continue;
            const auto instance = backend->instance();
            if (!instance.ok()) {
                last = instance.error();
                continue;
            }
            ErrorText text;
            const nixl_status status = backend->table().connect(
                instance.value(), peer.id, address.data(), address.size(), text.out());
            if (status == NIXL_OK)
                reached |= 1u << backend->number;
            else
                last = text.to_error(status, backend->name(), "connect");
        }
    }
    if (reached == 0)
        return last;
    return reached;
}

/// Takes it down and gives its slot back. Its handle is stale already.
void Peers::forget(Peer& peer) {
    take_down(peer);
    {
        const MutexLock lock(mutex_); // what comes late finds no peer, also not the slot's next one
        slots_by_id_.erase(peer.facts.id);
    }
    peer.state.store(0);
    slots_.give(peer);
}

Peer* Peers::with_id(nixl_peer_id id) {
    const auto found = slots_by_id_.find(id);
    return found == slots_by_id_.end() ? nullptr : &slots_.at(found->second);
}

void Peers::take_down(Peer& peer) {
    peer.state.store(NIXL_PEER_DOWN);
    PeerFacts was;
    {
        const MutexLock lock(mutex_);
        was = peer.facts;
        peer.facts.backends = 0;
    }
    for (const auto& backend : registry_.backends()) {
        if (!was.reached_by(backend->number) || backend->table().disconnect == nullptr)
            continue;
        // Not opened for it: an abandoned backend may still be at work.
        if (void* const instance = backend->open_instance(); instance != nullptr)
            backend->table().disconnect(instance, was.id);
    }
}

Result<void> Peers::disconnect(nixl_peer handle) {
    const MutexLock lock(connecting_);
    Peer* const peer = slots_.find(handle.index, handle.generation);
    if (peer == nullptr)
        return Error(Code::STALE, "the peer was disconnected already");
    SlotMap<Peer, 16>::retire(*peer);
    forget(*peer);
    return {};
}

void Peers::close() {
    for (uint32_t i = 0; i < slots_.size(); ++i)
        if (slots_.at(i).state.load() != 0)
            take_down(slots_.at(i));
}

Result<std::vector<uint8_t>> Peers::export_region(const Region& region) {
    std::vector<std::pair<std::string, std::vector<uint8_t>>> parts;
    for (const auto& backend : registry_.backends()) {
        if (!backend->available() || backend->table().export_region == nullptr ||
            !region.registered(backend->number))
            continue;
        NIXL_ASSIGN_OR_RETURN(void* instance, backend->instance());
        NIXL_ASSIGN_OR_RETURN(
            auto exported,
            opaque(*backend, "export_region", [&](void* out, uint64_t* n, auto* text) {
                return backend->table().export_region(
                    instance, region.registration(backend->number), out, n, text);
            }));
        parts.emplace_back(backend->name(), std::move(exported));
    }
    if (parts.empty())
        return Error(Code::UNSUPPORTED, "no transport here can offer this buffer to a peer",
                     "nixl-info --backends lists the transports of this build");
    WireWriter wire(WireMagic::BUFFER);
    wire.u64(incarnation_).text(name());
    wire.u32(region.kind_class.kind).u32(static_cast<uint32_t>(region.kind_class.device));
    wire.u64(region.bytes).u32(region.flags & NIXL_BUFFER_READ_ONLY);
    wire.u32(static_cast<uint32_t>(parts.size()));
    for (const auto& [name, exported] : parts)
        wire.text(name).bytes(exported);
    return std::move(wire).finish();
}

Result<ExportedBuffer> Peers::parse(std::span<const uint8_t> exported) {
    NIXL_ASSIGN_OR_RETURN(WireReader wire, WireReader::open(exported, WireMagic::BUFFER));
    ExportedBuffer buffer;
    buffer.incarnation = wire.u64();
    buffer.peer = wire.text();
    buffer.kind = wire.u32();
    buffer.device = static_cast<int32_t>(wire.u32());
    buffer.bytes = wire.u64();
    buffer.flags = wire.u32();
    const uint32_t count = wire.u32();
    for (uint32_t i = 0; i < count && i < MAX_PARTS && !wire.failed(); ++i) {
        std::string backend = wire.text();
        buffer.parts.push_back({std::move(backend), wire.bytes()});
    }
    NIXL_RETURN_IF_ERROR(wire.finish());
    if (buffer.kind == NIXL_KIND_NONE || buffer.kind >= NIXL_KIND_COUNT)
        return Error(Code::CORRUPT, "exported buffer of kind " + std::to_string(buffer.kind));
    return buffer;
}

Result<std::vector<std::pair<uint32_t, void*>>> Peers::import_region(const PeerFacts& peer,
                                                                     const ExportedBuffer& exported,
                                                                     int32_t accessing_device) {
    if (exported.peer != peer.name)
        return Error(Code::INVALID_ARGUMENT,
                     "the buffer was exported by " + exported.peer + ", not by " + peer.name);
    if (exported.incarnation != peer.incarnation)
        return Error(Code::STALE, "the buffer was exported by another run of " + peer.name,
                     "ask the peer to export it again");
    nixl_region_desc desc{};
    desc.struct_size = sizeof desc;
    desc.kind = exported.kind;
    desc.bytes = exported.bytes;
    desc.device = exported.device;
    desc.fd = -1;
    desc.flags =
        (exported.flags & NIXL_BUFFER_READ_ONLY) != 0 ? uint32_t{NIXL_REGION_READ_ONLY} : 0;
    std::vector<std::pair<uint32_t, void*>> imported;
    Error last(Code::UNSUPPORTED,
               "the buffer was not exported for a transport that reaches " + peer.name);
    for (const auto& part : exported.parts) {
        for (const auto& backend : registry_.backends()) {
            const auto is_here = [&](const auto& made) { return made.first == backend->number; };
            if (backend->name() != part.backend || !peer.reached_by(backend->number) ||
                backend->table().import_region == nullptr ||
                std::any_of(imported.begin(), imported.end(), is_here)) // named twice
                continue;
            const auto instance = backend->instance();
            if (!instance.ok()) {
                last = instance.error();
                continue;
            }
            ErrorText text;
            void* registration = nullptr;
            const nixl_status status = backend->table().import_region(
                instance.value(), peer.id, accessing_device, &desc, part.bytes.data(),
                part.bytes.size(), &registration, text.out());
            if (status == NIXL_OK)
                imported.emplace_back(backend->number, registration);
            else
                last = text.to_error(status, backend->name(), "import_region");
        }
    }
    if (imported.empty())
        return last;
    return imported;
}

void Peers::event(nixl_peer_id id, int event, int32_t detail) {
    if (event < NIXL_PEER_UP || event > NIXL_PEER_DOWN)
        return;
    std::string name;
    {
        const MutexLock lock(mutex_);
        Peer* const peer = with_id(id);
        if (peer == nullptr)
            return;
        uint32_t before = peer->state.load();
        do {
            // While it connects, only its end matters: the rest is told by connect().
            if (before == 0 || before == NIXL_PEER_DOWN ||
                (before == CONNECTING && event != NIXL_PEER_DOWN))
                return;
        } while (!peer->state.compare_exchange_weak(before, static_cast<uint32_t>(event)));
        name = peer->facts.name;
    }
    if (event == NIXL_PEER_DOWN)
        NIXL_LOG(WARN, "peer " + name + " is down (code " + std::to_string(detail) + ")");
}

Code Peers::notified(nixl_peer_id id, const void* message, uint64_t bytes) {
    if (bytes > MAX_NOTIFICATION_BYTES)
        return Code::INVALID_ARGUMENT;
    const auto* begin = static_cast<const uint8_t*>(message);
    const MutexLock lock(mutex_);
    const Peer* const peer = with_id(id);
    if (peer == nullptr)
        return Code::DISCONNECTED;
    if (notifications_.size() >= MAX_NOTIFICATIONS)
        return Code::AGAIN;
    notifications_.push_back({{peer->index, peer->generation.load()}, {begin, begin + bytes}});
    return Code::OK;
}

Result<std::pair<nixl_peer, std::vector<uint8_t>>> Peers::receive(uint64_t capacity,
                                                                  uint64_t* needed) {
    const MutexLock lock(mutex_);
    *needed = 0;
    if (notifications_.empty())
        return Error(Code::NOT_FOUND, "no notification has arrived");
    *needed = notifications_.front().message.size();
    if (*needed > capacity)
        return Error(Code::OUT_OF_RANGE, "the notification has " + std::to_string(*needed) +
                                             " bytes, there is room for " +
                                             std::to_string(capacity));
    Notification first = std::move(notifications_.front());
    notifications_.pop_front();
    return std::pair(first.from, std::move(first.message));
}

} // namespace nixl::core
