// SPDX-License-Identifier: Apache-2.0
// What a command line asks nixlbench to do, checked before anything is opened.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/options.h"
#include "common/units.h"
#include "nixlbench/end.h"
#include "nixlbench/shape.h"
#include "nixlbench/verifier.h"

namespace nixl::tools {

enum class OutputFormat { TEXT, JSON, CSV };

struct Plan {
    std::vector<NamedSize> sizes;
    bool is_sweep = false; ///< more than one size was asked for, or more than one variant
    SizeUnits units = SizeUnits::BINARY;
    std::uint64_t block_bytes = 0; ///< 0: one element
    Layout layout = Layout::CONTIGUOUS;
    EndWish source, target;
    std::string ends_reason;      ///< why these ends, where the command line does not say
    std::uint64_t iterations = 0; ///< 0: as many as fit into target_ns
    std::uint64_t target_ns = 0;  ///< of each size
    std::uint64_t warmup = 0;
    VerifyMode verify = VerifyMode::SAMPLED;
    std::string backend;               ///< ""; as the settings say
    std::string sm_budget;             ///< of kernels; "": as the settings say
    std::string compared;              ///< the setting that --compare varies; "": none
    std::vector<std::string> variants; ///< its values; one that is empty without --compare
    OutputFormat output = OutputFormat::TEXT;
    bool quiet = false;
    std::vector<std::string> arguments;
};

/// The table behind --help and the parser.
[[nodiscard]] CommandLine command_line();
/// Throws Failure.
[[nodiscard]] Plan make_plan(const CommandLine& line);
/// Of the arguments alone, for the time before they are understood.
[[nodiscard]] OutputFormat guess_format(int argc, const char* const* argv);

} // namespace nixl::tools
