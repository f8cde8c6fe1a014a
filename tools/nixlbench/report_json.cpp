// SPDX-License-Identifier: Apache-2.0
// The schema is docs/tools/nixlbench.schema.json; fields are only ever added.
#include <ctime>

#include <nixl/status.hpp>

#include "common/json_writer.h"
#include "common/machine.h"
#include "common/text.h"
#include "nixlbench/report.h"

namespace nixl::tools {

namespace {

constexpr int SCHEMA_VERSION = 1;

double ms(double ns) { return ns / 1e6; }

void write_latencies(JsonWriter& json, const Latencies& times) {
    json.field("min_latency_ms", ms(times.min_ns())).field("max_latency_ms", ms(times.max_ns()));
    json.field("p50_latency_ms", ms(times.percentile_ns(0.5)));
    json.field("p90_latency_ms", ms(times.percentile_ns(0.9)));
    json.field("p99_latency_ms", ms(times.percentile_ns(0.99)));
    json.field("p999_latency_ms", ms(times.percentile_ns(0.999)));
    json.field("stddev_latency_ms", ms(times.deviation_ns()));
    json.key("histogram").array();
    for (const Latencies::Bucket& bucket : times.histogram())
        json.object().field("below_ms", ms(bucket.upper_ns)).field("count", bucket.count).end();
    json.end();
}

void write_verification(JsonWriter& json, const Plan& plan, const Result& result) {
    constexpr const char* MODES[] = {"sampled", "full", "off"};
    json.key("verification").object().field("mode", MODES[static_cast<int>(plan.verify)]);
    json.field("verified_iterations", result.verified);
    json.field("ok", !result.mismatch.has_value() && result.not_verified.empty());
    json.field("reason", result.mismatch ? result.mismatch->text() : result.not_verified).end();
}

void write_end(JsonWriter& json, const char* name, const EndWish& wish, const std::string& text) {
    json.key(name).object().field("type", end_kind_name(wish.kind)).field("description", text);
    json.field("device", wish.kind == EndKind::GPU ? wish.device : -1);
    json.field("direct", wish.kind == EndKind::FILE && wish.direct).end();
}

void write_result(JsonWriter& json, const Plan& plan, const Result& result) {
    const double bandwidth = result.bandwidth();
    json.field("size", result.size.text).field("bandwidth_gbps", bandwidth);
    json.field("avg_latency_ms", ms(result.latencies.mean_ns()));
    json.field("size_bytes", result.size.bytes).field("iterations", result.latencies.count());
    json.field("bandwidth_gigabytes_per_second", bandwidth);
    json.field("bandwidth_gigabits_per_second", bandwidth * 8);
    write_latencies(json, result.latencies);
    json.field("element_bytes", result.block_bytes).field("elements", result.elements);
    json.field("layout", layout_name(plan.layout));
    if (!plan.compared.empty())
        json.field("compared", plan.compared).field("variant", result.variant);
    write_end(json, "src", plan.source, result.source);
    write_end(json, "dst", plan.target, result.target);
    json.field("ends_reason", plan.ends_reason);
    json.key("path").raw(result.path_json.empty() ? "{}" : result.path_json);
    json.field("backend", result.backend).field("backend_requested", plan.backend);
    json.key("raw").object().field("name", result.raw.name).field("samples", result.raw.samples);
    json.field("bandwidth_gigabytes_per_second", result.raw_bandwidth());
    json.field("p50_latency_ms", ms(result.raw.median_ns));
    json.field("percent_of_raw", result.raw_share() * 100).end();
    json.field("flush_ms", ms(result.flush_ns));
    write_verification(json, plan, result);
    json.field("rating", grade_name(result.rating.grade));
    json.field("rating_reason", result.rating.reason);
    json.field("simulated", result.simulated).field("interrupted", result.interrupted);
}

void write_surroundings(JsonWriter& json, const Plan& plan) {
    const Machine machine = read_machine();
    json.key("host").object().field("name", machine.host).field("system", machine.system);
    json.field("kernel", machine.kernel).field("architecture", machine.architecture);
    json.field("cpu", machine.cpu_model).field("cpus_usable", machine.cpus_usable);
    json.field("numa_nodes", machine.numa_nodes).field("memory_bytes", machine.memory_bytes);
    json.field("governor", machine.governor).field("load", machine.load).end();
    json.key("versions").object().field("nixl", nixl::version()).end();
    json.key("config").object().field("mode", "p2p").field("iterations_asked", plan.iterations);
    json.field("target_seconds", static_cast<double>(plan.target_ns) / 1e9);
    json.field("warmup", plan.warmup);
    json.field("units", plan.units == SizeUnits::DECIMAL ? "decimal" : "binary").end();
    json.key("argv").array();
    for (const std::string& argument : plan.arguments)
        json.value(argument);
    json.end();
    char time[32] = "";
    const std::time_t now = std::time(nullptr);
    std::tm utc{};
    if (gmtime_r(&now, &utc) != nullptr)
        std::strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%SZ", &utc);
    json.field("timestamp", time);
}

} // namespace

std::string json_report(const Plan& plan, const Outcome& outcome) {
    JsonWriter json;
    json.object();
    const bool failed = !outcome.error.empty();
    if (plan.is_sweep) {
        json.key("results").array();
        for (const Result& result : outcome.results) {
            json.object();
            write_result(json, plan, result);
            json.end();
        }
        json.end();
    } else if (!outcome.results.empty()) {
        write_result(json, plan, outcome.results.front());
    } else {
        // Scripts that only print the three figures go on.
        json.field("size", plan.sizes.empty() ? "" : plan.sizes.front().text);
        json.field("bandwidth_gbps", 0.0).field("avg_latency_ms", 0.0);
    }
    if (outcome.skipped)
        json.field("skipped", true).field("skip_reason", outcome.error);
    else if (failed)
        json.field("error", outcome.error).field("exit_code", static_cast<int>(outcome.code));
    json.field("schema_version", SCHEMA_VERSION);
    write_surroundings(json, plan);
    return json.end().text();
}

} // namespace nixl::tools
