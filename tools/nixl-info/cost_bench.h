// SPDX-License-Identifier: Apache-2.0
// `nixl-info --bench`: what engines cost on the GPUs of this machine.
#pragma once

#include "common/options.h"

namespace nixl::tools {

/// Prints what it found and writes the table that --output names, or the default one. Throws
/// Failure, NIXLException; then nothing is written.
void bench_costs(const CommandLine& line);

} // namespace nixl::tools
