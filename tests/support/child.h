// SPDX-License-Identifier: Apache-2.0
// Work in a child process: for what a process cannot take back, and for what may end it.
#pragma once

#include <functional>
#include <string>

namespace nixl::test {

/// Runs `body` in a child. It returns "" for success, "skip: REASON", or what went wrong. Failed
/// expectations of the child are part of the answer, and so is an end that was not its own.
[[nodiscard]] std::string in_child(const std::function<std::string()>& body);

/// The failed expectations of the running test from part `first` on, for people.
[[nodiscard]] std::string failures_from(int first);

} // namespace nixl::test
