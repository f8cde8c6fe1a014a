// SPDX-License-Identifier: Apache-2.0
// A host for tests of parts that never call it.
#pragma once

#include <cstdio>
#include <vector>

#include "plugin/host.h"

namespace nixl::core {

class NullHost final : public Host {
  public:
    std::optional<std::string> config(std::string_view) override { return std::nullopt; }
    uint32_t counter(std::string_view) override { return 0; }
    void count(uint32_t, uint64_t) noexcept override {}
    void wake(void*) noexcept override {}
    Code run(void (*)(void*), void*) override { return Code::AGAIN; }
    uint32_t workers() noexcept override { return 1; }
    void* staging_get(uint32_t, int32_t, uint64_t) override { return nullptr; }
    void staging_put(void*) override {}
    void peer_event(nixl_peer_id, int, int32_t) override {}
    Code notified(nixl_peer_id, const void*, uint64_t) override { return Code::AGAIN; }
};

/// A backend that offers the pairs it is given and moves nothing; for routes and registries.
struct StubBackend {
    const char* name = "stub";
    std::vector<nixl_kind_pair> pairs;
    nixl_status answer = NIXL_OK;
    const char* reason = "";
    uint32_t attached = 0, detached = 0;

    [[nodiscard]] nixl_backend_v1 table() {
        nixl_backend_v1 t{};
        t.struct_size = sizeof t;
        t.abi = NIXL_BACKEND_ABI;
        t.name = name;
        t.self = this;
        t.probe = [](void* self, const nixl_host_v1*, nixl_caps* out, nixl_error_text* text) {
            auto& me = *static_cast<StubBackend*>(self);
            out->pairs = me.pairs.data();
            out->pair_count = static_cast<uint32_t>(me.pairs.size());
            if (text->text != nullptr)
                snprintf(text->text, text->bytes, "%s", me.reason);
            return me.answer;
        };
        t.open = [](void* self, const nixl_host_v1*, void** instance, nixl_error_text*) {
            *instance = self;
            return nixl_status{NIXL_OK};
        };
        t.close = [](void*) {};
        t.attach = [](void* self, const nixl_region_desc*, void** out, nixl_error_text*) {
            ++static_cast<StubBackend*>(self)->attached;
            *out = self;
            return nixl_status{NIXL_OK};
        };
        t.detach = [](void* self, void*) { ++static_cast<StubBackend*>(self)->detached; };
        t.queue_open = [](void* self, uint32_t, void*, void** queue, nixl_error_text*) {
            *queue = self;
            return nixl_status{NIXL_OK};
        };
        t.queue_close = [](void*) {};
        t.submit = [](void*, const nixl_batch*) { return uint64_t{0}; };
        t.poll = [](void*, nixl_completion*, uint32_t) { return uint32_t{0}; };
        return t;
    }
};

} // namespace nixl::core
