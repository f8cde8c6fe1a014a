// SPDX-License-Identifier: Apache-2.0
// Ctrl-C: the first one asks for an early end, the second one ends the process.
#pragma once

namespace nixl::tools {

void catch_interrupts();
[[nodiscard]] bool is_interrupted() noexcept;

} // namespace nixl::tools
