// SPDX-License-Identifier: Apache-2.0
// What the machine has: devices and memory.
#pragma once

#include <nixl/context.hpp>

namespace nixl {

/// GPUs that can be used; 0 without a driver.
inline unsigned get_device_count() {
    std::uint32_t count = 0;
    detail::check(nixl_device_count(&count));
    return count;
}
/// Bytes; device_id -1: host memory, within the limit of the control group.
inline std::uint64_t get_free_memory(int device_id = -1) {
    std::uint64_t free_bytes = 0, total_bytes = 0;
    detail::check(nixl_memory_figures(device_id, &free_bytes, &total_bytes));
    return free_bytes;
}
inline std::uint64_t get_total_memory(int device_id = -1) {
    std::uint64_t free_bytes = 0, total_bytes = 0;
    detail::check(nixl_memory_figures(device_id, &free_bytes, &total_bytes));
    return total_bytes;
}
/// Gives cached memory and unused registrations back to the system; how many bytes that were.
inline std::uint64_t gc(nixl_context context = default_context()) {
    std::uint64_t released = 0;
    detail::check(nixl_memory_trim(context, &released));
    return released;
}

} // namespace nixl
