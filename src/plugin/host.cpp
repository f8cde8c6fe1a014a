// SPDX-License-Identifier: Apache-2.0
#include "plugin/host.h"

#include <cstring>

#include "base/clock.h"
#include "base/log.h"

namespace nixl::core {

namespace {

Host& self(void* host) noexcept { return *static_cast<Host*>(host); }

int64_t config_get(void* host, const char* key, char* out, size_t out_bytes) {
    const auto value = self(host).config(key);
    if (!value)
        return -1;
    if (out != nullptr && out_bytes > 0) {
        const size_t length = std::min(value->size(), out_bytes - 1);
        std::memcpy(out, value->data(), length);
        out[length] = '\0';
    }
    return static_cast<int64_t>(value->size());
}

void log(void*, int level, const char* file, int line, const char* text) {
    const auto known = static_cast<Level>(level);
    if (level >= NIXL_LOG_ERROR && level <= NIXL_LOG_TRACE && log_enabled(known))
        log_write(known, file, line, text);
}

} // namespace

nixl_host_v1 Host::table() noexcept {
    nixl_host_v1 t{};
    t.struct_size = sizeof t;
    t.abi = NIXL_BACKEND_ABI;
    t.host = this;
    t.log = log;
    t.config_get = config_get;
    t.counter = [](void* h, const char* name) { return self(h).counter(name); };
    t.count = [](void* h, uint32_t counter, uint64_t add) { self(h).count(counter, add); };
    t.now_ns = [](void*) { return now_ns(); };
    t.wake = [](void* h, void* host_queue) { self(h).wake(host_queue); };
    t.run = [](void* h, void (*work)(void*), void* argument) {
        return static_cast<nixl_status>(self(h).run(work, argument));
    };
    t.workers = [](void* h) { return self(h).workers(); };
    t.staging_get = [](void* h, uint32_t kind, int32_t device, uint64_t bytes) {
        return self(h).staging_get(kind, device, bytes);
    };
    t.staging_put = [](void* h, void* staging) { self(h).staging_put(staging); };
    t.peer_event = [](void* h, nixl_peer_id peer, int event, int32_t detail) {
        self(h).peer_event(peer, event, detail);
    };
    t.notified = [](void* h, nixl_peer_id peer, const void* message, uint64_t bytes) {
        return static_cast<nixl_status>(self(h).notified(peer, message, bytes));
    };
    return t;
}

} // namespace nixl::core
