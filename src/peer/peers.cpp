// SPDX-License-Identifier: Apache-2.0
#include "peer/peers.h"

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

uint64_t new_incarnation() {
    std::random_device device;
    const uint64_t random = static_cast<uint64_t>(device()) << 32 | device();
    return random == 0 ? 1 : random;
}

std::string unique_name(uint64_t incarnation) {
    char host[65] = "localhost";
    gethostname(host, sizeof host - 1);
    return std::string(host) + ":" + std::to_string(getpid()) + ":" +
           std::to_string(incarnation % 1'000'000);
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
      name_(name.empty() ? unique_name(incarnation_) : std::move(name)), slots_(MAX_PEERS) {}

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
    wire.u64(incarnation_).text(name_).u32(static_cast<uint32_t>(parts.size()));
    for (const auto& [name, address] : parts)
        wire.text(name).bytes(address);
    return std::move(wire).finish();
}

Result<nixl_peer> Peers::connect(std::span<const uint8_t> metadata) {
    NIXL_ASSIGN_OR_RETURN(WireReader wire, WireReader::open(metadata, WireMagic::METADATA));
    const uint64_t incarnation = wire.u64();
    const std::string name = wire.text();
    const uint32_t count = wire.u32();
    std::vector<std::pair<std::string, std::span<const uint8_t>>> parts;
    for (uint32_t i = 0; i < count && i < MAX_PARTS && !wire.failed(); ++i) {
        std::string backend = wire.text();
        parts.emplace_back(std::move(backend), wire.bytes());
    }
    NIXL_RETURN_IF_ERROR(wire.finish());
    if (name.empty() || name.size() > MAX_NAME_BYTES)
        return Error(Code::CORRUPT,
                     "metadata names a peer of " + std::to_string(name.size()) + " characters");
    const MutexLock lock(connecting_);
    for (uint32_t i = 0; i < slots_.size(); ++i) {
        Peer& known = slots_.at(i);
        if (known.state.load() == 0 || known.name != name)
            continue;
        if (known.incarnation == incarnation && known.state.load() == NIXL_PEER_UP)
            return nixl_peer{known.index, known.generation.load()};
        take_down(known); // fenced by the newer one
    }
    Peer* peer = slots_.take();
    if (peer == nullptr)
        return Error(Code::AGAIN, std::to_string(MAX_PEERS) + " peers are known already");
    peer->name = name;
    peer->incarnation = incarnation;
    peer->backends = 0;
    Error last(Code::UNSUPPORTED, "no backend here reaches " + name);
    for (const auto& [backend_name, address] : parts) {
        for (const auto& backend : registry_.backends()) {
            if (backend->name() != backend_name || !backend->available() || !backend->remote())
                continue;
            NIXL_ASSIGN_OR_RETURN(void* instance, backend->instance());
            ErrorText text;
            const nixl_status status = backend->table().connect(
                instance, id_of(*peer), address.data(), address.size(), text.out());
            if (status == NIXL_OK)
                peer->backends |= 1u << backend->number;
            else
                last = text.to_error(status, backend->name(), "connect");
        }
    }
    if (peer->backends == 0) {
        SlotMap<Peer, 16>::retire(*peer);
        slots_.give(*peer);
        return last;
    }
    peer->state.store(NIXL_PEER_UP);
    return nixl_peer{peer->index, peer->generation.load()};
}

void Peers::take_down(Peer& peer) {
    peer.state.store(NIXL_PEER_DOWN);
    for (const auto& backend : registry_.backends()) {
        if ((peer.backends >> backend->number & 1) == 0 || backend->table().disconnect == nullptr)
            continue;
        if (auto instance = backend->instance(); instance.ok())
            backend->table().disconnect(instance.value(), id_of(peer));
    }
    peer.backends = 0;
}

Result<void> Peers::disconnect(nixl_peer handle) {
    Peer* peer = find(handle);
    if (peer == nullptr)
        return Error(Code::STALE, "the peer was disconnected already");
    SlotMap<Peer, 16>::retire(*peer);
    take_down(*peer);
    peer->state.store(0);
    slots_.give(*peer);
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

Result<std::vector<std::pair<uint32_t, void*>>>
Peers::import_region(const Peer& peer, const ExportedBuffer& exported, int32_t accessing_device) {
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
            if (backend->name() != part.backend || (peer.backends >> backend->number & 1) == 0 ||
                backend->table().import_region == nullptr)
                continue;
            NIXL_ASSIGN_OR_RETURN(void* instance, backend->instance());
            ErrorText text;
            void* registration = nullptr;
            const nixl_status status = backend->table().import_region(
                instance, id_of(peer), accessing_device, &desc, part.bytes.data(),
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
    if (id == 0 || id > slots_.size())
        return;
    Peer& peer = slots_.at(id - 1);
    if (peer.state.load() == 0)
        return;
    peer.state.store(static_cast<uint32_t>(event));
    if (event == NIXL_PEER_DOWN)
        NIXL_LOG(WARN, "peer " + peer.name + " is down (code " + std::to_string(detail) + ")");
}

Code Peers::notified(nixl_peer_id id, const void* message, uint64_t bytes) {
    if (id == 0 || id > slots_.size() || bytes > MAX_NOTIFICATION_BYTES)
        return Code::INVALID_ARGUMENT;
    const auto* begin = static_cast<const uint8_t*>(message);
    const Peer& peer = slots_.at(id - 1);
    const MutexLock lock(mutex_);
    if (notifications_.size() >= MAX_NOTIFICATIONS)
        return Code::AGAIN;
    notifications_.push_back({{peer.index, peer.generation.load()}, {begin, begin + bytes}});
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
