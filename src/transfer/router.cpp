// SPDX-License-Identifier: Apache-2.0
#include "transfer/route.h"

#include <algorithm>
#include <optional>
#include <span>

#include "base/json.h"

namespace nixl::core {

namespace {

constexpr std::array<uint64_t, Router::SIZE_CLASSES> TYPICAL_BYTES = {1u << 10, 32u << 10, 1u << 20,
                                                                      64u << 20};

constexpr double NO_ROUTE_NS = 1e300; // anything is better

double cost_ns(const Leg& leg, uint64_t bytes) noexcept {
    return leg.latency_ns + static_cast<double>(bytes) / std::max(leg.bytes_per_ns, 1e-6);
}

bool serves(const nixl_kind_pair& pair, uint32_t backend, const RegionClass& source,
            const RegionClass& target) noexcept {
    const auto reaches = [&](const RegionClass& side, uint32_t flag) {
        const bool wants_remote = (pair.flags & flag) != 0;
        return wants_remote == side.remote() &&
               (!wants_remote || (side.peer_backends >> backend & 1) != 0);
    };
    return pair.source_kind == source.kind && pair.target_kind == target.kind &&
           reaches(source, NIXL_PAIR_SOURCE_REMOTE) && reaches(target, NIXL_PAIR_TARGET_REMOTE) &&
           ((pair.flags & NIXL_PAIR_SAME_DEVICE) == 0 || source.device == target.device);
}

struct Candidate {
    Leg leg;
    bool available = false;
};

/// The cheapest leg between two classes, among those that work or among all.
std::optional<Candidate> best_leg(const BackendRegistry& registry, const RegionClass& source,
                                  const RegionClass& target, uint64_t bytes, bool available) {
    std::optional<Candidate> best;
    for (const auto& backend : registry.backends()) {
        if (backend->available() != available)
            continue;
        for (uint32_t i = 0; i < backend->caps().pair_count; ++i) {
            const nixl_kind_pair& pair = backend->caps().pairs[i];
            if (!serves(pair, backend->number, source, target))
                continue;
            const Leg leg{backend.get(), source.kind, target.kind, pair.latency_ns,
                          pair.bytes_per_ns};
            if (!best || cost_ns(leg, bytes) < cost_ns(best->leg, bytes))
                best = Candidate{leg, available};
        }
    }
    return best;
}

void summarise(Route& route) {
    route.bytes_per_ns = route.legs[0].bytes_per_ns;
    for (uint32_t i = 0; i < route.leg_count; ++i) {
        const Leg& leg = route.legs[i];
        const nixl_caps& caps = leg.backend->caps();
        route.latency_ns += leg.latency_ns;
        route.bytes_per_ns = std::min(route.bytes_per_ns, leg.bytes_per_ns);
        route.self_driven = route.self_driven && leg.backend->self_driven();
        route.simulated = route.simulated || (caps.flags & NIXL_CAP_SIMULATED) != 0;
        route.joins_streams = route.joins_streams || (caps.flags & NIXL_CAP_STREAMS) != 0;
        if (caps.max_element_bytes != 0)
            route.max_element_bytes =
                route.max_element_bytes == 0
                    ? caps.max_element_bytes
                    : std::min(route.max_element_bytes, caps.max_element_bytes);
    }
    route.self_driven = route.self_driven && route.direct(); // the core drives from leg to leg
}

double cost_ns(const Route& route, uint64_t bytes) noexcept {
    const Leg whole{nullptr, 0, 0, route.latency_ns, route.bytes_per_ns};
    return cost_ns(whole, bytes);
}

constexpr RegionClass HOST{NIXL_KIND_HOST, -1, 0}, PINNED{NIXL_KIND_PINNED, -1, 0};

/// The route that stops in staging memory of these kinds on its way; none: the direct one.
std::optional<Route> through(const BackendRegistry& registry, const RegionClass& source,
                             const RegionClass& target, std::span<const RegionClass> stops,
                             uint64_t bytes) {
    Route route;
    for (size_t i = 0; i <= stops.size(); ++i) {
        const auto found = best_leg(registry, i == 0 ? source : stops[i - 1],
                                    i == stops.size() ? target : stops[i], bytes, true);
        if (!found)
            return std::nullopt;
        route.legs[route.leg_count++] = found->leg;
    }
    summarise(route);
    return route;
}

/// One leg, else the cheapest of two or three through host memory, page-locked or not.
std::optional<Route> compose(const BackendRegistry& registry, const RegionClass& source,
                             const RegionClass& target, uint64_t bytes) {
    static_assert(MAX_LEGS == 3);
    static constexpr RegionClass STOPS[] = {HOST, PINNED, HOST};
    if (auto direct = through(registry, source, target, {}, bytes))
        return direct;
    std::optional<Route> best;
    for (const uint32_t count : {1u, 2u}) {
        for (const uint32_t first : {0u, 1u}) {
            auto route = through(registry, source, target, {STOPS + first, count}, bytes);
            if (route && (!best || cost_ns(*route, bytes) < cost_ns(*best, bytes)))
                best = std::move(route);
        }
    }
    return best;
}

std::string pair_text(const RegionClass& source, const RegionClass& target) {
    const auto side = [](const RegionClass& c) {
        return std::string(c.remote() ? "peer's " : "") + kind_name(c.kind);
    };
    return side(source) + " -> " + side(target);
}

/// Why nothing better than `cost`: the backends that are off and would have been cheaper, else, for
/// a path in several legs, that there is no direct one.
std::vector<std::string> explain_missing(const BackendRegistry& registry, const RegionClass& source,
                                         const RegionClass& target, uint64_t bytes, double cost,
                                         bool direct) {
    std::vector<std::string> reasons;
    for (const auto& backend : registry.backends()) {
        const nixl_caps& caps = backend->caps();
        if (!backend->available() &&
            std::any_of(caps.pairs, caps.pairs + caps.pair_count, [&](const nixl_kind_pair& pair) {
                const Leg leg{nullptr, 0, 0, pair.latency_ns, pair.bytes_per_ns};
                return serves(pair, backend->number, source, target) && cost_ns(leg, bytes) < cost;
            }))
            reasons.push_back(backend->unavailable());
    }
    if (!direct && reasons.empty())
        reasons.push_back("no backend copies " + pair_text(source, target) + " directly");
    return reasons;
}

} // namespace

Result<uint32_t> Router::intern(const RegionClass& kind_class) {
    const MutexLock lock(mutex_);
    const auto found = std::find(classes_.begin(), classes_.end(), kind_class);
    const auto number = static_cast<uint32_t>(found - classes_.begin());
    if (found != classes_.end())
        return number;
    if (number == MAX_CLASSES)
        return Error(Code::AGAIN, "buffers of " + std::to_string(MAX_CLASSES) +
                                      " different kinds, devices and peers are in use");
    classes_.push_back(kind_class);
    return number;
}

Result<const Route*> Router::search(uint32_t source_class, uint32_t target_class, uint64_t bytes) {
    const MutexLock lock(mutex_);
    const RegionClass& source = classes_[source_class];
    const RegionClass& target = classes_[target_class];
    const uint64_t typical = TYPICAL_BYTES[size_class(bytes)];
    auto route = compose(registry_, source, target, typical);
    if (!route) {
        std::string text = "no path " + pair_text(source, target);
        for (const std::string& reason :
             explain_missing(registry_, source, target, typical, NO_ROUTE_NS, true))
            text += "; " + reason;
        return Error(Code::UNSUPPORTED, text,
                     "nixl-info --paths lists what is possible here and why the rest is not");
    }
    route->reasons = explain_missing(registry_, source, target, typical, cost_ns(*route, typical),
                                     route->direct());
    routes_.push_back(std::make_unique<Route>(*std::move(route)));
    const Route* made = routes_.back().get();
    cache_[slot(source_class, target_class, bytes)].store(made, std::memory_order_release);
    return made;
}

void Router::forget() noexcept {
    const MutexLock lock(mutex_); // not between the look of a search() and what it stores
    for (auto& entry : cache_)
        entry.store(nullptr, std::memory_order_release);
}

std::string Route::name() const {
    std::string text;
    for (uint32_t i = 0; i < leg_count; ++i)
        text += (i == 0 ? "" : "+") + legs[i].backend->name();
    return text;
}

std::string Route::to_json(uint64_t staging_bytes, const char* engine) const {
    JsonWriter json;
    json.object();
    json.key("name").value(name());
    json.key("direct").value(direct());
    json.key("simulated").value(simulated);
    json.key("expected_latency_ns").value(latency_ns);
    json.key("expected_gigabytes_per_second").value(bytes_per_ns);
    json.key("staging_bytes").value(direct() ? 0 : staging_bytes);
    json.key("legs").array();
    for (uint32_t i = 0; i < leg_count; ++i) {
        const char* const detail = engine != nullptr ? engine : legs[i].backend->caps().detail;
        json.object().key("backend").value(legs[i].backend->name());
        json.key("engine").value(detail != nullptr ? detail : "");
        json.key("note").value(legs[i].backend->note());
        json.key("source").value(kind_name(legs[i].source_kind));
        json.key("target").value(kind_name(legs[i].target_kind)).end();
    }
    json.end().key("reasons").array();
    for (const std::string& reason : reasons)
        json.value(reason);
    json.end().end();
    return json.text();
}

std::string Router::to_json() {
    static constexpr uint32_t KINDS[] = {NIXL_KIND_HOST,    NIXL_KIND_PINNED, NIXL_KIND_DEVICE,
                                         NIXL_KIND_MANAGED, NIXL_KIND_FILE,   NIXL_KIND_BLOCK,
                                         NIXL_KIND_OBJECT};
    const MutexLock lock(mutex_);
    JsonWriter json;
    json.array();
    for (const uint32_t from : KINDS) {
        for (const uint32_t to : KINDS) {
            const RegionClass source{from, -1, 0}, target{to, -1, 0};
            const auto route = compose(registry_, source, target, TYPICAL_BYTES.back());
            json.object().key("source").value(kind_name(from)).key("target").value(kind_name(to));
            json.key("path").value(route ? route->name() : "");
            json.key("direct").value(route && route->direct()).key("reasons").array();
            for (const auto& reason :
                 explain_missing(registry_, source, target, TYPICAL_BYTES.back(),
                                 route ? cost_ns(*route, TYPICAL_BYTES.back()) : NO_ROUTE_NS,
                                 route && route->direct()))
                json.value(reason);
            json.end().end();
        }
    }
    json.end();
    return json.text();
}

} // namespace nixl::core
