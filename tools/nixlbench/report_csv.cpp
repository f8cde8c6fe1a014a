// SPDX-License-Identifier: Apache-2.0
#include "common/text.h"
#include "nixlbench/report.h"

namespace nixl::tools {

namespace {

std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text)
        out += c == '"' ? std::string("\"\"") : std::string(1, c);
    return out + "\"";
}

} // namespace

std::string csv_report(const Plan& plan, const Outcome& outcome) {
    std::string out = "size,size_bytes,elements,layout,src,dst,path,iterations,"
                      "bandwidth_gigabytes_per_second,avg_latency_ms,min_latency_ms,"
                      "max_latency_ms,stddev_latency_ms,p50_latency_ms,p90_latency_ms,"
                      "p99_latency_ms,p999_latency_ms,percent_of_raw,verified,rating,variant\n";
    for (const Result& result : outcome.results) {
        const Latencies& times = result.latencies;
        out += quoted(result.size.text) + format(",%llu,%llu,",
                                                 static_cast<unsigned long long>(result.size.bytes),
                                                 static_cast<unsigned long long>(result.elements));
        out += std::string(layout_name(plan.layout)) + "," + quoted(result.source) + "," +
               quoted(result.target) + "," + quoted(result.path_name);
        out += format(",%llu,%.9g", static_cast<unsigned long long>(times.count()),
                      result.bandwidth());
        for (const double ns :
             {times.mean_ns(), times.min_ns(), times.max_ns(), times.deviation_ns(),
              times.percentile_ns(0.5), times.percentile_ns(0.9), times.percentile_ns(0.99),
              times.percentile_ns(0.999)})
            out += format(",%.9g", ns / 1e6);
        const bool verified = !result.mismatch && result.not_verified.empty();
        out += format(",%.1f,%s,%s,", result.raw_share() * 100, verified ? "yes" : "no",
                      grade_name(result.rating.grade)) +
               quoted(result.variant) + "\n";
    }
    return out;
}

} // namespace nixl::tools
