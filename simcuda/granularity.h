// SPDX-License-Identifier: Apache-2.0
// The unit of virtual memory management.
#pragma once

#include <cstddef>

namespace nixl::simcuda {

constexpr size_t GRANULARITY = size_t{2} << 20; // bytes

inline bool is_whole(size_t bytes) { return bytes != 0 && bytes % GRANULARITY == 0; }

} // namespace nixl::simcuda
