// SPDX-License-Identifier: Apache-2.0
#include "common/failure.h"

#include <system_error>

namespace nixl::tools {

Failure system_failure(const std::string& what, int error) {
    return Failure(EXIT_ERROR, what + ": " + std::generic_category().message(error));
}

} // namespace nixl::tools
