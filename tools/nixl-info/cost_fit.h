// SPDX-License-Identifier: Apache-2.0
// The figures of the cost model from times: what has to be timed, and what follows from it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "backends/cuda/costs/figures.h"

namespace nixl::tools {

enum class CostEngine { COPY, BULK, PLAIN };

/// Work to time: elements that follow each other at neither end.
struct CostProbe {
    const core::cuda::NamedWay* way;
    CostEngine engine;
    bool on_one;                        ///< of kernels: one multiprocessor; else all of them
    std::uint64_t elements, bytes_each; ///< powers of two
};

struct CostTime {
    double ns = 0;
    std::string why_not; ///< where it cannot be timed
};
using TimeCosts = std::function<CostTime(const CostProbe&)>;

struct FittedCosts {
    core::cuda::CostTable table = core::cuda::BUILT_IN_COSTS;
    std::map<std::string, std::string> kept; ///< figures that stay as built in, and why
};

/// "host_to_gpu.copy_ns"
[[nodiscard]] std::string full_name(const std::string& way, const std::string& figure);

/// Each figure is measured apart from the others: what an element more takes, on one multiprocessor
/// and on all; what a byte more takes. What cannot be timed, and what comes out as no figure that a
/// table may have, stays as built in. Asks for each time once, in an order that only depends on the
/// arguments.
///
/// large_bytes: of the longest probes, a power of two from 16 MiB on. Throws what `time` throws.
[[nodiscard]] FittedCosts fit_costs(const TimeCosts& time, std::uint32_t multiprocessors,
                                    std::uint64_t large_bytes);

} // namespace nixl::tools
