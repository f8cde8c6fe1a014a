// SPDX-License-Identifier: Apache-2.0
// The services that the core lends to backends, as an interface; the engine implements it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nixl/backend.h>

#include "base/status.h"

namespace nixl::core {

/// Threads: any thread.
class Host {
  public:
    virtual ~Host() = default;

    virtual std::optional<std::string> config(std::string_view key) = 0;
    virtual uint32_t counter(std::string_view name) = 0;
    virtual void count(uint32_t counter, uint64_t add) noexcept = 0;
    virtual void wake(void* host_queue) noexcept = 0;
    virtual Code run(void (*work)(void*), void* argument) = 0;
    virtual uint32_t workers() noexcept = 0;
    virtual void* staging_get(uint32_t kind, int32_t device, uint64_t bytes) = 0;
    virtual void staging_put(void* staging) = 0;
    virtual void peer_event(nixl_peer_id peer, int event, int32_t detail) = 0;
    virtual Code notified(nixl_peer_id peer, const void* message, uint64_t bytes) = 0;

    /// The C table over this object. It must not move while backends use it.
    [[nodiscard]] nixl_host_v1 table() noexcept;
};

} // namespace nixl::core
