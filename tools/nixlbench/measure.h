// SPDX-License-Identifier: Apache-2.0
// One measurement: a prepared transfer posted again and again, in turns with the raw baseline.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/latencies.h"
#include "common/rating.h"
#include "nixlbench/baseline.h"
#include "nixlbench/plan.h"

namespace nixl::tools {

struct Result {
    NamedSize size;
    std::string variant; ///< the value of the setting that is compared
    std::uint64_t block_bytes = 0, elements = 0;
    Latencies latencies;
    Baseline::Best raw;
    std::string source, target; ///< the ends in words
    std::string path_json;      ///< as the library tells it
    std::string path_name, engine, backend;
    bool direct_path = true, simulated = false;
    std::uint64_t verified = 0; ///< timed iterations that were checked
    std::string not_verified;   ///< why none were
    std::optional<Mismatch> mismatch;
    double flush_ns = 0; ///< making a file durable, outside of the time; 0: no file
    bool interrupted = false;
    Rating rating;

    /// Decimal gigabytes per second, which is bytes per nanosecond.
    [[nodiscard]] double bandwidth() const {
        const double mean_ns = latencies.mean_ns();
        return mean_ns > 0 ? static_cast<double>(size.bytes) / mean_ns : 0;
    }
    [[nodiscard]] double raw_bandwidth() const {
        return raw.median_ns > 0 ? static_cast<double>(size.bytes) / raw.median_ns : 0;
    }
    /// Of medians; above 1 the library was faster. 0: no baseline.
    [[nodiscard]] double raw_share() const {
        const double median_ns = latencies.percentile_ns(0.5);
        return median_ns > 0 ? raw.median_ns / median_ns : 0;
    }
};

/// Throws Failure, or NIXLException when the library refuses. Ends early on Ctrl-C.
[[nodiscard]] Result measure(const Plan& plan, const NamedSize& size, nixl_context context);

} // namespace nixl::tools
