// SPDX-License-Identifier: Apache-2.0
// Results as text, JSON and CSV.
#pragma once

#include <string>
#include <vector>

#include "common/failure.h"
#include "nixlbench/measure.h"
#include "nixlbench/plan.h"

namespace nixl::tools {

/// What happened, in all.
struct Outcome {
    std::vector<Result> results;
    ExitCode code = EXIT_OK;
    std::string error;    ///< empty: none
    bool skipped = false; ///< unavailable, and the environment allows that
};

[[nodiscard]] std::string text_report(const Plan& plan, const Outcome& outcome);
[[nodiscard]] std::string json_report(const Plan& plan, const Outcome& outcome);
[[nodiscard]] std::string csv_report(const Plan& plan, const Outcome& outcome);

} // namespace nixl::tools
