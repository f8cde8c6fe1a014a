// SPDX-License-Identifier: Apache-2.0
// What a context says of itself, as JSON.
#include <algorithm>

#include "base/json.h"
#include "engine/context.h"
#include "platform/gdrcopy.h"
#include "platform/gpu_facts.h"
#include "platform/system.h"
#include "transfer/pipeline.h"

namespace nixl::core {

namespace {

const char* origin_name(BackendOrigin origin) noexcept {
    switch (origin) {
    case BackendOrigin::BUILT_IN:
        return "built in";
    case BackendOrigin::PLUGIN:
        return "plug-in";
    case BackendOrigin::ADDED:
        return "added";
    }
    return "";
}

} // namespace

std::string Context::backends_json() const {
    JsonWriter json;
    json.array();
    for (const auto& backend : registry_->backends()) {
        const nixl_caps& caps = backend->caps();
        json.object().key("name").value(backend->name());
        json.key("origin").value(origin_name(backend->origin()));
        json.key("source").value(backend->source());
        json.key("available").value(backend->available());
        json.key("reason").value(backend->unavailable());
        json.key("engine").value(caps.detail != nullptr ? caps.detail : "");
        json.key("note").value(backend->note());
        json.key("simulated").value((caps.flags & NIXL_CAP_SIMULATED) != 0);
        json.key("max_element_bytes").value(caps.max_element_bytes);
        json.key("pairs").array();
        for (uint32_t i = 0; i < caps.pair_count; ++i) {
            json.object().key("source").value(kind_name(caps.pairs[i].source_kind));
            json.key("target").value(kind_name(caps.pairs[i].target_kind)).end();
        }
        json.end().end();
    }
    json.end();
    return json.text();
}

std::string Context::plugins_json() const {
    JsonWriter json;
    json.object().key("loaded").array();
    for (const auto& backend : registry_->backends())
        if (backend->origin() == BackendOrigin::PLUGIN)
            json.object()
                .key("name")
                .value(backend->name())
                .key("source")
                .value(backend->source())
                .end();
    json.end().key("refused").array();
    for (const RefusedPlugin& plugin : registry_->refused())
        json.object().key("source").value(plugin.source).key("reason").value(plugin.reason).end();
    json.end().end();
    return json.text();
}

std::string Context::capabilities_json() {
    const auto [gpus, wish] = [this] {
        const MutexLock lock(mutex_);
        return std::pair(gpu_choice(settings_), settings_.text("enable_gdrcopy"));
    }();
    // One entry per capability that users ask for; most engines that provide them are not here yet.
    JsonWriter json;
    json.object();
    const auto absent = [&json](const char* name, const std::string& reason) {
        json.key(name).object().key("available").value(false).key("reason").value(reason).end();
    };
    const auto found = gdrcopy(gpus, wish);
    json.key("gdrcopy").object().key("available").value(found.ok());
    json.key("reason")
        .value(found.ok() ? std::string() : "gdrcopy: " + found.error().message)
        .end();
    absent("ucx", "ucx: the UCX transport is not part of this build");
    absent("gds", "gds: the GPUDirect Storage engine is not part of this build");
    json.end();
    return json.text();
}

std::string Context::devices_json() {
    const GpuChoice choice = [this] {
        const MutexLock lock(mutex_);
        return gpu_choice(settings_);
    }();
    const auto driver = cuda_driver(choice);
    JsonWriter json;
    json.object().key("gpus").array();
    const auto found = driver.ok() ? gpu_facts(*driver.value()) : std::vector<GpuFacts>();
    for (const GpuFacts& gpu : found) {
        json.object().key("number").value(gpu.number).key("name").value(gpu.name);
        json.key("bus_id").value(gpu.bus_id).key("bytes").value(gpu.bytes);
        json.key("compute").value(std::to_string(gpu.compute_major) + "." +
                                  std::to_string(gpu.compute_minor));
        json.key("multiprocessors").value(gpu.multiprocessors);
        json.key("simulated").value(driver.value()->simulated).key("peers").array();
        for (const int peer : gpu.peers)
            json.value(peer);
        json.end().key("links").object();
        if (gpu.links)
            json.key("pcie_generation")
                .value(gpu.links->pcie_generation)
                .key("most_pcie_generation")
                .value(gpu.links->most_pcie_generation)
                .key("pcie_width")
                .value(gpu.links->pcie_width)
                .key("most_pcie_width")
                .value(gpu.links->most_pcie_width)
                .key("nvlinks")
                .value(gpu.links->nvlinks);
        else
            json.key("reason").value(gpu.why_no_links);
        json.end().end();
    }
    json.end().key("driver").value(driver.ok() ? driver.value()->version : 0);
    json.key("reason").value(driver.ok() ? std::string() : driver.error().message).end();
    return json.text();
}

std::string Context::memory_json() {
    uint64_t buffers = 0, bytes = 0, library_bytes = 0, staging_blocks = 0;
    regions_->for_each([&](const Region& region) {
        if (region.role == Region::Role::STAGING)
            ++staging_blocks;
        if (region.role != Region::Role::BUFFER)
            return;
        ++buffers;
        bytes += region.storage() ? 0 : region.bytes;
        const bool ours = (region.region_flags & NIXL_REGION_LIBRARY) != 0 || region.on_gpu ||
                          region.given.allocator != nullptr;
        library_bytes += ours ? region.bytes : 0;
    });
    JsonWriter json;
    json.object().key("buffers").value(buffers).key("memory_bytes").value(bytes);
    json.key("allocated_bytes").value(library_bytes);
    json.key("staging_blocks").value(staging_blocks).key("staging_bytes").value(staging_->bytes());
    json.key("pools").array();
    pools_->for_each([&](const PoolFigures& pool) {
        json.object().key("kind").value(kind_name(pool.kind)).key("device").value(pool.device);
        json.key("bytes").value(pool.bytes).key("used_bytes").value(pool.used_bytes);
        json.key("peak_bytes").value(pool.peak_bytes).key("buffers").value(pool.buffers);
        json.key("largest_free_bytes").value(pool.largest_free_bytes).end();
    });
    json.end();
    json.key("requests_in_flight").value(transfers_->in_flight()).end();
    return json.text();
}

std::string Context::metrics_json() {
    nixl_metrics metrics{};
    telemetry_.read(metrics);
    JsonWriter json;
    json.object().key("enabled").value(metrics.enabled != 0);
    json.key("transfers").value(metrics.transfers).key("failures").value(metrics.failures);
    json.key("bytes").value(metrics.bytes).key("busy_ns").value(metrics.busy_ns);
    json.key("staged_bytes").value(metrics.staged_bytes);
    json.key("abandoned").value(metrics.abandoned);
    json.key("short_retries").value(metrics.short_retries);
    json.key("counters").object(); // of backends
    const MutexLock lock(counters_mutex_);
    for (size_t i = 0; i < counter_names_.size(); ++i)
        json.key(counter_names_[i]).value(counters_[i].load(std::memory_order_relaxed));
    json.end().end();
    return json.text();
}

Result<std::string> Context::report(std::string_view section) {
    // Without the lock: drivers may take their time.
    if (section == "devices")
        return devices_json();
    if (section == "capabilities")
        return capabilities_json();
    const MutexLock lock(mutex_);
    if (section == "config")
        return settings_.to_json();
    if (section == "backends")
        return backends_json();
    if (section == "plugins")
        return plugins_json();
    if (section == "paths")
        return router_->to_json();
    if (section == "memory")
        return memory_json();
    if (section == "metrics")
        return metrics_json();
    if (section == "abandoned")
        return transfers_->abandoned_json();
    return Error(
        Code::INVALID_ARGUMENT, "no report section '" + std::string(section) + "'",
        "config, backends, plugins, paths, capabilities, devices, memory, metrics or abandoned");
}

Result<std::string> Context::explain(nixl_buffer source, nixl_buffer target, uint64_t bytes) {
    Region* const from = regions_->find(source);
    Region* const to = regions_->find(target);
    if (from == nullptr || to == nullptr || !from->add_user(source.generation))
        return Error(Code::STALE, "the buffer was freed");
    const bool held = to->add_user(target.generation);
    auto text = held ? explain_between(*from, *to, bytes)
                     : Result<std::string>(Error(Code::STALE, "the buffer was freed"));
    if (held)
        to->remove_user();
    from->remove_user();
    return text;
}

Result<std::string> Context::explain_between(const Region& from, const Region& to, uint64_t bytes) {
    NIXL_ASSIGN_OR_RETURN(const Route* route,
                          router_->find(from.class_number, to.class_number, bytes));
    const TransferLimits limits = transfers_->limits();
    return route->to_json(std::min(transfers_->chunk_for(bytes) * limits.chunks, bytes),
                          Transfers::engine_of(*route, from, to, bytes));
}

std::string Context::path_of(const Request& request) {
    return request.route->to_json(request.pipeline ? request.pipeline->staging_bytes() : 0,
                                  request.engine.load(std::memory_order_relaxed));
}

} // namespace nixl::core
