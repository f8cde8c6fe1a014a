// SPDX-License-Identifier: Apache-2.0
// Ctrl-C: the first one asks for an early end, the second one ends the process.
#pragma once

namespace nixl::tools {

void catch_interrupts();
[[nodiscard]] bool is_interrupted() noexcept;
/// Throws Failure with EXIT_INTERRUPTED when Ctrl-C was pressed.
void stop_if_interrupted();

} // namespace nixl::tools
