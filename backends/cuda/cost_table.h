// SPDX-License-Identifier: Apache-2.0
// A cost table from a file, as `nixl-info --bench` writes it.
#pragma once

#include <string>

#include "base/status.h"
#include "costs/figures.h"

namespace nixl::core::cuda {

struct MeasuredCosts {
    CostTable table;
    std::string gpu; ///< the name of the GPU that it was measured on
};

/// Every figure has to be there, and nothing that is not known: a file that somebody wrote by hand
/// says what it means, or is refused.
///
/// Errors: INVALID_ARGUMENT naming file, key and remedy.
Result<MeasuredCosts> read_cost_table(const std::string& path);

} // namespace nixl::core::cuda
