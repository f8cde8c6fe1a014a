// SPDX-License-Identifier: Apache-2.0
#include "region.h"

namespace nixl::core::cuda {
namespace {

template <typename Value>
bool ask(const Calls& call, PointerAttribute which, Address address, Value* out) noexcept {
    void* const where = out;
    return call.pointer_attributes(1, &which, const_cast<void**>(&where), address) ==
           CuResult::SUCCESS;
}

} // namespace

void inspect(const Calls& call, Region* region) noexcept {
    uint32_t is_managed = 1, is_plain = 0;
    Address for_gpus = 0;
    if (!ask(call, PointerAttribute::IS_MANAGED, region->address, &is_managed) ||
        !ask(call, PointerAttribute::DEVICE_POINTER, region->address, &for_gpus))
        return;
    // Managed memory may lie anywhere, and moves; host memory may be locked and not mapped.
    region->kernels_reach = is_managed == 0 && for_gpus == region->address;
    // Memory of cuMemAlloc() alone is open to all that enabled peer access; pools and mappings have
    // lists of their own.
    region->peers_reach =
        ask(call, PointerAttribute::IS_PLAIN_ALLOCATION, region->address, &is_plain) &&
        is_plain != 0;
    if (region->pinned == nullptr &&
        !ask(call, PointerAttribute::BUFFER_ID, region->address, &region->buffer_id))
        region->kernels_reach = false;
}

bool Region::is_alive(const Calls& call, uint64_t occasion) const noexcept {
    if (buffer_id == 0 || seen_alive_.load(std::memory_order_relaxed) == occasion)
        return true;
    uint64_t now = 0;
    if (!ask(call, PointerAttribute::BUFFER_ID, address, &now) || now != buffer_id)
        return false;
    seen_alive_.store(occasion, std::memory_order_relaxed);
    return true;
}

} // namespace nixl::core::cuda
