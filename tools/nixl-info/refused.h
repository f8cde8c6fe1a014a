// SPDX-License-Identifier: Apache-2.0
// Variables of the environment that keep the library from opening: which, and why.
#pragma once

#include <string>
#include <vector>

#include <nixl/context.hpp>

namespace nixl::tools {

struct Refused {
    std::string variable; ///< "NIXL_LANES"
    std::string reason;   ///< the library's own words, with what it accepts
};

/// The NIXL_* variables with each of which alone the library does not open. Changes the environment
/// meanwhile: for a time at which the process has one thread.
[[nodiscard]] std::vector<Refused> refused_variables();

/// A context of the settings without these. Throws NIXLException.
[[nodiscard]] Context open_without(const std::vector<Refused>& refused);

} // namespace nixl::tools
