// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "common/json_reader.h"
#include "common/machine.h"
#include "common/text.h"
#include "nixlbench/report.h"

namespace nixl::tools {

namespace {

/// The six lines that scripts read. Labels, order and formats are fixed.
std::string six_lines(const Plan& plan, const Result& result) {
    const Latencies& times = result.latencies;
    return "Transfer size: " + format_size(result.size.bytes, plan.units) + "\n" +
           "Iterations: " + std::to_string(times.count()) + "\n" +
           "Avg bandwidth: " + format_rate(result.bandwidth()) + "\n" +
           "Min latency: " + format_time(times.min_ns()) + "\n" +
           "Max latency: " + format_time(times.max_ns()) + "\n" +
           "Std dev: " + format_time(times.deviation_ns()) + "\n";
}

std::string ends_line(const Plan& plan, const Result& result) {
    return "Ends: " + result.source + " -> " + result.target +
           (plan.ends_reason.empty() ? "" : " (" + plan.ends_reason + ")") + "\n";
}

std::string path_text(const Result& result) {
    const bool tells = !result.engine.empty() && result.engine != result.path_name;
    return result.path_name + (tells ? " (" + result.engine + ")" : "");
}

std::string path_lines(const Plan& plan, const Result& result) {
    std::string out = "Path: " + path_text(result);
    out += (result.simulated ? ", simulated\n" : "\n");
    if (!plan.backend.empty())
        out +=
            "Backend: " + plan.backend + " was asked for, " + result.backend + " moved the bytes\n";
    const Json path = Json::read(result.path_json);
    if (!result.direct_path)
        for (const auto& [unused, reason] : path["reasons"].members())
            out += "  not better: " + reason.text() + "\n";
    return out;
}

std::string raw_line(const Result& result) {
    if (result.raw.samples == 0)
        return "Raw baseline: none for these ends\n";
    return "Raw baseline: " + format_rate(result.raw_bandwidth()) + " (" + result.raw.name +
           format(", median of %llu in turns with ours); ours is %.0f %% of it\n",
                  static_cast<unsigned long long>(result.raw.samples), result.raw_share() * 100);
}

std::string verified_line(const Plan& plan, const Result& result) {
    if (result.mismatch)
        return "Verified: FAILED, " + result.mismatch->text() + "\n";
    if (!result.not_verified.empty())
        return "Verified: no (" + result.not_verified + ")\n";
    return format("Verified: %llu of %llu iterations",
                  static_cast<unsigned long long>(result.verified),
                  static_cast<unsigned long long>(result.latencies.count())) +
           (plan.verify == VerifyMode::FULL ? " (all bytes)\n"
                                            : " (sampled; all bytes before and after)\n");
}

std::string percentiles(const Latencies& times) {
    return "p50 " + format_time(times.percentile_ns(0.5)) + "  p90 " +
           format_time(times.percentile_ns(0.9)) + "  p99 " +
           format_time(times.percentile_ns(0.99)) + "  p99.9 " +
           format_time(times.percentile_ns(0.999));
}

/// What of this machine makes latencies vary; one line each.
std::string variation_lines(const Result& result) {
    if (result.latencies.variation() <= HIGH_VARIATION)
        return "";
    const Machine machine = read_machine();
    std::string out;
    if (!machine.governor.empty() && machine.governor != "performance")
        out += "  the CPU frequency governor is " + machine.governor + ", not performance\n";
    if (machine.load > machine.cpus_usable)
        out += format("  the machine is busy: load %.1f on %u CPUs\n", machine.load,
                      machine.cpus_usable);
    return out;
}

std::string full_report(const Plan& plan, const Result& result) {
    std::string out = six_lines(plan, result);
    if (plan.quiet)
        return out;
    out += ends_line(plan, result);
    if (result.elements > 1)
        out += format("Elements: %llu of ", static_cast<unsigned long long>(result.elements)) +
               format_size(result.block_bytes, plan.units) + ", " + layout_name(plan.layout) + "\n";
    out += path_lines(plan, result);
    out += raw_line(result);
    out += "Percentiles: " + percentiles(result.latencies) + "\n";
    if (result.flush_ns > 0)
        out += "Made durable (fsync) in " + format_time(result.flush_ns) +
               ", outside of the time above\n";
    out += verified_line(plan, result);
    out += "Rating: " + std::string(grade_name(result.rating.grade)) + " (" + result.rating.reason +
           ")\n" + variation_lines(result);
    if (result.interrupted)
        out += "Interrupted: this is the partial result\n";
    return out;
}

/// What of a sweep one line is about.
std::string row_name(const Result& result) {
    return result.size.text + (result.variant.empty() ? "" : " " + result.variant);
}

std::string sweep_report(const Plan& plan, const std::vector<Result>& results) {
    std::string out = ends_line(plan, results.front()) + path_lines(plan, results.front());
    if (!plan.compared.empty())
        out += "Compared: " + plan.compared + "\n";
    out += format("%-16s %10s %12s %9s %10s %10s %10s  %s\n", "Size", "Iterations", "Bandwidth",
                  "% of raw", "p50", "p99", "p99.9", "Verified");
    for (const Result& result : results) {
        const Latencies& times = result.latencies;
        const std::string share =
            result.raw.samples == 0 ? "-" : format("%.0f", result.raw_share() * 100);
        std::string last = result.mismatch ? "FAILED" : result.not_verified.empty() ? "yes" : "no";
        if (!result.variant.empty())
            last += "  " + path_text(result);
        out += format("%-16s %10llu %12s %9s %10s %10s %10s  %s\n", row_name(result).c_str(),
                      static_cast<unsigned long long>(times.count()),
                      format_rate(result.bandwidth()).c_str(), share.c_str(),
                      format_time(times.percentile_ns(0.5)).c_str(),
                      format_time(times.percentile_ns(0.99)).c_str(),
                      format_time(times.percentile_ns(0.999)).c_str(), last.c_str());
    }
    return out + (results.back().interrupted ? "Interrupted: this is the partial result\n" : "");
}

} // namespace

std::string text_report(const Plan& plan, const Outcome& outcome) {
    if (outcome.results.empty())
        return "";
    return plan.is_sweep ? sweep_report(plan, outcome.results)
                         : full_report(plan, outcome.results.front());
}

} // namespace nixl::tools
