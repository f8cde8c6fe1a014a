// SPDX-License-Identifier: Apache-2.0
// Counters of what a context has moved.
#pragma once

#include <nixl/context.hpp>

namespace nixl::telemetry {

/// Bytes, times and look-ups since enable() or reset().
struct Metrics : nixl_metrics {
    /// Bytes over the time in which at least one transfer was in flight, in 10^9 bytes per second.
    [[nodiscard]] double bandwidth_gigabytes_per_second() const noexcept {
        return busy_ns == 0 ? 0.0 : static_cast<double>(bytes) / static_cast<double>(busy_ns);
    }
    /// Registrations and pool allocations that were served from a cache, 0 .. 1.
    [[nodiscard]] double cache_hit_rate() const noexcept {
        const std::uint64_t lookups = registration_lookups + pool_lookups;
        return lookups == 0 ? 0.0
                            : static_cast<double>(registration_hits + pool_hits) /
                                  static_cast<double>(lookups);
    }
};

inline void enable(nixl_context context = default_context()) {
    detail::check(nixl_telemetry_enable(context, 1));
}
inline void disable(nixl_context context = default_context()) {
    detail::check(nixl_telemetry_enable(context, 0));
}
inline void reset(nixl_context context = default_context()) {
    detail::check(nixl_telemetry_reset(context));
}
inline Metrics get_metrics(nixl_context context = default_context()) {
    Metrics metrics{};
    metrics.struct_size = static_cast<std::uint32_t>(sizeof(nixl_metrics));
    detail::check(nixl_telemetry_read(context, &metrics));
    return metrics;
}
inline bool is_enabled(nixl_context context = default_context()) {
    return get_metrics(context).enabled != 0;
}

} // namespace nixl::telemetry
