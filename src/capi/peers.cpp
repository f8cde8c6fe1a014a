// SPDX-License-Identifier: Apache-2.0
// nixl_peer_*, buffers that cross contexts, notifications.
#include <cstring>

#include "capi/context_table.h"

using namespace nixl::core;

namespace {

Result<std::span<const uint8_t>> input(const void* data, uint64_t bytes) {
    if (data == nullptr)
        return Error(Code::INVALID_ARGUMENT, "the message is NULL");
    return std::span(static_cast<const uint8_t*>(data), bytes);
}

} // namespace

extern "C" {

nixl_status nixl_context_metadata(nixl_context context, void* out, uint64_t capacity,
                                  uint64_t* needed) {
    const Call call(context);
    if (!call)
        return last_code();
    const auto bytes = call->peers().metadata();
    return bytes.ok() ? copy_bytes(bytes.value(), out, capacity, needed) : fail(bytes.error());
}

nixl_status nixl_peer_connect(nixl_context context, const void* metadata, uint64_t bytes,
                              nixl_peer* out) {
    const Call call(context);
    if (!call)
        return last_code();
    const auto message = input(metadata, bytes);
    if (!message.ok())
        return fail(message.error());
    if (out == nullptr)
        return fail(Code::INVALID_ARGUMENT, "out is NULL");
    return guarded([&] { return to_status(call->peers().connect(message.value()), out); });
}

nixl_status nixl_peer_disconnect(nixl_context context, nixl_peer peer) {
    const Call call(context);
    return call ? to_status(call->peers().disconnect(peer)) : last_code();
}

nixl_status nixl_peer_describe(nixl_context context, nixl_peer handle, nixl_peer_description* out) {
    const Call call(context);
    if (!call)
        return last_code();
    if (out == nullptr)
        return fail(Code::INVALID_ARGUMENT, "out is NULL");
    const auto facts = call->peers().facts(handle);
    if (!facts.ok())
        return fail(facts.error());
    nixl_peer_description description{};
    description.state = call->peers().state(handle);
    if (description.state == 0)
        return fail(Code::STALE, "the peer was disconnected");
    description.incarnation = facts.value().incarnation;
    std::strncpy(description.name, facts.value().name.c_str(), sizeof description.name - 1);
    fill_struct(out, description);
    return NIXL_OK;
}

nixl_status nixl_buffer_export(nixl_context context, nixl_buffer buffer, void* out,
                               uint64_t capacity, uint64_t* needed) {
    const Call call(context);
    if (!call)
        return last_code();
    const auto bytes = call->export_buffer(buffer);
    return bytes.ok() ? copy_bytes(bytes.value(), out, capacity, needed) : fail(bytes.error());
}

nixl_status nixl_buffer_import(nixl_context context, nixl_peer peer, const void* exported,
                               uint64_t bytes, int32_t accessing_device, nixl_buffer* out) {
    const Call call(context);
    if (!call)
        return last_code();
    const auto message = input(exported, bytes);
    if (!message.ok())
        return fail(message.error());
    if (out == nullptr)
        return fail(Code::INVALID_ARGUMENT, "out is NULL");
    return guarded([&] {
        return to_status(call->import_buffer(peer, message.value(), accessing_device), out);
    });
}

nixl_status nixl_notification_send(nixl_context context, nixl_peer peer, const void* message,
                                   uint64_t bytes) {
    const Call call(context);
    if (!call)
        return last_code();
    const auto text = input(message, bytes);
    if (!text.ok())
        return fail(text.error());
    return guarded([&] { return to_status(call->notify(peer, text.value())); });
}

nixl_status nixl_notification_receive(nixl_context context, nixl_peer* from, void* out,
                                      uint64_t capacity, uint64_t* bytes) {
    const Call call(context);
    if (!call)
        return last_code();
    if (from == nullptr || bytes == nullptr || (out == nullptr && capacity > 0))
        return fail(Code::INVALID_ARGUMENT, "an output argument is NULL");
    call->transfers().drive(); // backends deliver while they are polled
    const auto received = call->peers().receive(capacity, bytes);
    if (!received.ok())
        return fail(received.error());
    *from = received.value().first;
    if (!received.value().second.empty())
        std::memcpy(out, received.value().second.data(), received.value().second.size());
    return NIXL_OK;
}

} // extern "C"
