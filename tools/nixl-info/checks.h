// SPDX-License-Identifier: Apache-2.0
// The doctor: what of this machine keeps nixl from working, or from being fast, and the cure.
#pragma once

#include <string>
#include <vector>

namespace nixl::tools {

enum class Verdict {
    PASS,
    WARN, ///< works, but slower or not everything
    FAIL, ///< does not work
    SKIP  ///< does not apply to this machine
};

struct Finding {
    Verdict verdict;
    std::string subject, text;
    std::string cure; ///< a command or a sentence; "" when there is nothing to do
};

[[nodiscard]] std::vector<Finding> run_checks();
[[nodiscard]] const char* verdict_name(Verdict verdict); ///< "pass"

} // namespace nixl::tools
