// SPDX-License-Identifier: Apache-2.0
#include "telemetry/telemetry.h"

#include <initializer_list>

namespace nixl::core {

uint64_t Telemetry::started() noexcept {
    const uint64_t now = now_ns();
    if (in_flight_.fetch_add(1, std::memory_order_acq_rel) == 0)
        busy_since_.store(now, std::memory_order_relaxed);
    return now;
}

void Telemetry::finished(uint64_t now, uint64_t bytes, bool failed) noexcept {
    // Read before the count falls: the next starter overwrites it.
    const uint64_t since = busy_since_.load(std::memory_order_relaxed);
    if (in_flight_.fetch_sub(1, std::memory_order_acq_rel) == 1 && now > since)
        add(busy_ns_, now - since);
    add(transfers_, 1);
    add(bytes_, bytes);
    if (failed)
        add(failures_, 1);
}

void Telemetry::reset() noexcept {
    for (Counter* counter :
         {&transfers_, &failures_, &bytes_, &staged_bytes_, &registration_lookups_,
          &registration_hits_, &pool_lookups_, &pool_hits_, &short_retries_, &busy_ns_})
        counter->store(0, std::memory_order_relaxed);
    busy_since_.store(now_ns(), std::memory_order_relaxed);
}

void Telemetry::read(nixl_metrics& out) const noexcept {
    out.enabled = enabled() ? 1 : 0;
    out.transfers = transfers_.load(std::memory_order_relaxed);
    out.failures = failures_.load(std::memory_order_relaxed);
    out.bytes = bytes_.load(std::memory_order_relaxed);
    out.busy_ns = busy_ns_.load(std::memory_order_relaxed);
    if (in_flight_.load(std::memory_order_relaxed) != 0) // an interval is open
        out.busy_ns += now_ns() - busy_since_.load(std::memory_order_relaxed);
    out.staged_bytes = staged_bytes_.load(std::memory_order_relaxed);
    out.registration_lookups = registration_lookups_.load(std::memory_order_relaxed);
    out.registration_hits = registration_hits_.load(std::memory_order_relaxed);
    out.pool_lookups = pool_lookups_.load(std::memory_order_relaxed);
    out.pool_hits = pool_hits_.load(std::memory_order_relaxed);
    out.abandoned = abandoned_.load(std::memory_order_relaxed);
    out.short_retries = short_retries_.load(std::memory_order_relaxed);
}

} // namespace nixl::core
