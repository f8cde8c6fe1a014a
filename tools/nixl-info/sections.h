// SPDX-License-Identifier: Apache-2.0
// The sections of nixl-info, each read from the library or from the system.
#pragma once

#include <vector>

#include <nixl/nixl_c.h>

#include "nixl-info/refused.h"
#include "nixl-info/sheet.h"

namespace nixl::tools {

/// Versions, host, memory, block devices, network interfaces, drivers. Never fails.
void add_system(std::vector<Section>& sections);

// What the library reports of `context`. Throw NIXLException.
[[nodiscard]] Section backends_section(nixl_context context);
[[nodiscard]] Section plugins_section(nixl_context context);
[[nodiscard]] Section paths_section(nixl_context context);
[[nodiscard]] Section capabilities_section(nixl_context context);
/// GPUs and how they are attached.
[[nodiscard]] Section gpus_section(nixl_context context);
/// `all` false: what differs from the defaults. `refused` are marked.
[[nodiscard]] Section config_section(nixl_context context, bool all,
                                     const std::vector<Refused>& refused = {});

} // namespace nixl::tools
