// SPDX-License-Identifier: Apache-2.0
// Small text files: settings, what the kernel tells under /proc and /sys.
#pragma once

#include <cstddef>
#include <string>

#include "base/status.h"

namespace nixl::core {

inline constexpr size_t MAX_READ_FILE_BYTES = 1 << 20; // mountinfo of a busy machine: some 100 KB

/// A file whole; of a longer one, MAX_READ_FILE_BYTES + 1 bytes. Errors: open(2)'s and read(2)'s,
/// named with the path; detail is the errno.
[[nodiscard]] Result<std::string> read_file(const std::string& path);

} // namespace nixl::core
