// SPDX-License-Identifier: Apache-2.0
// Buffers that cross between contexts.
#include "engine/context.h"

namespace nixl::core {

Result<std::vector<uint8_t>> Context::export_buffer(nixl_buffer buffer) {
    const UsedRegion region(*regions_, buffer);
    if (!region)
        return Error(Code::STALE, "the buffer was freed");
    bool hit = false;
    for (const auto& backend : registry_->backends())
        if (backend->available() && backend->table().export_region != nullptr)
            NIXL_RETURN_IF_ERROR(regions_->ensure_registered(*region, *backend, &hit));
    return peers_->export_region(*region);
}

Result<nixl_buffer> Context::import_buffer(nixl_peer handle, std::span<const uint8_t> exported,
                                           int32_t accessing_device) {
    NIXL_ASSIGN_OR_RETURN(const PeerFacts peer, peers_->facts_if_up(handle));
    NIXL_ASSIGN_OR_RETURN(const ExportedBuffer parsed, Peers::parse(exported));
    NIXL_ASSIGN_OR_RETURN(const auto imported,
                          peers_->import_region(peer, parsed, accessing_device));
    RegionClass kind_class{parsed.kind, parsed.device, 0};
    for (const auto& [number, registration] : imported)
        kind_class.peer_backends |= 1u << number;
    auto made = classify(
        regions_->add_remote(kind_class, parsed.bytes, parsed.flags, handle, peer.id, imported));
    if (!made.ok())
        for (const auto& [number, registration] : imported)
            registry_->backends()[number]->detach(registration);
    return made;
}

Result<void> Context::notify(nixl_peer handle, std::span<const uint8_t> message) {
    if (message.size() > Peers::MAX_NOTIFICATION_BYTES)
        return Error(Code::OUT_OF_RANGE, "a notification has at most " +
                                             std::to_string(Peers::MAX_NOTIFICATION_BYTES) +
                                             " bytes, not " + std::to_string(message.size()));
    NIXL_ASSIGN_OR_RETURN(const PeerFacts peer, peers_->facts_if_up(handle));
    for (const auto& backend : registry_->backends()) {
        if (!peer.reached_by(backend->number) || !backend->notifies())
            continue;
        auto sent = transfers_->send_note(*backend, peer.id, message);
        if (sent.ok())
            return sent;
        Error error = std::move(sent).error();
        error.message = "peer " + peer.name + " over " + backend->name() + ": " + error.message;
        return error;
    }
    return Error(Code::UNSUPPORTED, "no transport to " + peer.name + " carries notifications");
}

} // namespace nixl::core
