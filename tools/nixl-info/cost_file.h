// SPDX-License-Identifier: Apache-2.0
// What `nixl-info --bench` found, for people and for the setting cuda.cost_table.
#pragma once

#include <string>

#include "nixl-info/cost_fit.h"

namespace nixl::tools {

/// Where a table was measured.
struct MeasuredOn {
    std::string gpu, driver; ///< "NVIDIA H200", "CUDA 13.0"
    std::string date;        ///< "2026-11-27"
    bool simulated = false;
};

/// A JSON object, as the setting reads it.
[[nodiscard]] std::string costs_json(const FittedCosts& costs, const MeasuredOn& machine);

/// Each figure beside the built-in one.
[[nodiscard]] std::string costs_text(const FittedCosts& costs, const MeasuredOn& machine);

/// $XDG_CONFIG_HOME/nixl/gpu-costs.json, or in ~/.config. Throws Failure where neither is known.
[[nodiscard]] std::string default_costs_path();

/// Makes the folder, and lets nobody see half a file. Throws Failure.
void write_costs(const std::string& path, const std::string& json);

} // namespace nixl::tools
