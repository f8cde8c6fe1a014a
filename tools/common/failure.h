// SPDX-License-Identifier: Apache-2.0
// How the tools end: exit codes, and the exception that carries one to main().
#pragma once

#include <stdexcept>
#include <string>

namespace nixl::tools {

enum ExitCode {
    EXIT_OK = 0,
    EXIT_ERROR = 1,
    EXIT_USAGE = 2,
    EXIT_MISMATCH = 4,    ///< the bytes that arrived are not those that were sent
    EXIT_UNAVAILABLE = 5, ///< this machine or this build lacks what was asked for
    EXIT_INTERRUPTED = 130
};

/// what() is one sentence for the user.
class Failure : public std::runtime_error {
  public:
    Failure(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
    [[nodiscard]] ExitCode code() const noexcept { return code_; }

  private:
    ExitCode code_;
};

/// A failed system call: "opening /tmp/x: No such file or directory".
[[nodiscard]] Failure system_failure(const std::string& what, int error);

} // namespace nixl::tools
