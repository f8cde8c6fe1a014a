// SPDX-License-Identifier: Apache-2.0
#include "region.h"

namespace nixl::core::cuda {
namespace {

template <typename Value>
CuResult ask(const Calls& call, PointerAttribute which, Address address, Value* out) noexcept {
    void* const where = out;
    return call.pointer_attributes(1, &which, const_cast<void**>(&where), address);
}

template <typename Value>
bool answers(const Calls& call, PointerAttribute which, Address address, Value* out) noexcept {
    return ask(call, which, address, out) == CuResult::SUCCESS;
}

/// Memory of another context of the same GPU has addresses that mean something else in ours, and a
/// mapping may be open to other GPUs alone.
bool is_open_in_context(const Gpu& reader, const Region& region) noexcept {
    const Calls& call = reader.driver.call;
    Context owner = nullptr;
    Address for_gpus = 0;
    int access = 3;
    uint32_t is_managed = 1;
    if (!answers(call, PointerAttribute::CONTEXT, region.address, &owner))
        owner = nullptr; // of mappings there is none
    if (region.gpu != nullptr)
        (void)answers(call, PointerAttribute::ACCESS, region.address, &access); // if it can tell
    return answers(call, PointerAttribute::DEVICE_POINTER, region.address, &for_gpus) &&
           for_gpus == region.address &&
           // Managed memory may lie anywhere, and moves.
           answers(call, PointerAttribute::IS_MANAGED, region.address, &is_managed) &&
           is_managed == 0 && access == 3 &&
           (region.gpu == nullptr || owner == nullptr || owner == reader.context);
}

} // namespace

void inspect(const Gpu& reader, Region* region) noexcept {
    const Calls& call = reader.driver.call;
    const CudaScope scope(reader.driver, reader.context);
    if (scope.result != CuResult::SUCCESS)
        return;
    uint32_t is_plain = 0;
    region->kernels_reach = is_open_in_context(reader, *region);
    // Memory of cuMemAlloc() alone is open to all that enabled peer access; pools and mappings have
    // lists of their own.
    region->peers_reach =
        answers(call, PointerAttribute::IS_PLAIN_ALLOCATION, region->address, &is_plain) &&
        is_plain != 0;
    if (region->pinned == nullptr &&
        !answers(call, PointerAttribute::BUFFER_ID, region->address, &region->buffer_id))
        region->kernels_reach = false;
}

CuResult check_alive(Gpu& gpu, std::span<const Region* const> regions, uint64_t occasion) noexcept {
    for (const Region* const region : regions) {
        const CuResult result = region->check_alive(gpu.driver.call, occasion);
        gpu.note(result);
        if (result != CuResult::SUCCESS)
            return result;
    }
    return CuResult::SUCCESS;
}

CuResult Region::check_alive(const Calls& call, uint64_t occasion) const noexcept {
    if (buffer_id == 0 || seen_alive_.load(std::memory_order_relaxed) == occasion)
        return CuResult::SUCCESS;
    uint64_t now = 0;
    const CuResult result = ask(call, PointerAttribute::BUFFER_ID, address, &now);
    if (result != CuResult::SUCCESS || now != buffer_id)
        return result != CuResult::SUCCESS ? result : CuResult::INVALID_VALUE;
    seen_alive_.store(occasion, std::memory_order_relaxed);
    return CuResult::SUCCESS;
}

} // namespace nixl::core::cuda
