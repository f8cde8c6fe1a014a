// SPDX-License-Identifier: Apache-2.0
// The main job on one file: file, host memory, host memory, second file, checked.
#pragma once

#include <cstdint>
#include <string>

namespace nixl::tools {

struct DemoWish {
    std::string file;
    std::uint64_t window_bytes; ///< of each of the four host buffers; less when memory is short
    bool keep;
};

/// Prints as it goes. Throws Failure or NIXLException.
void run_demo(const DemoWish& wish);

} // namespace nixl::tools
