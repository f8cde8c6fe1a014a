// SPDX-License-Identifier: Apache-2.0
#include "region.h"

namespace nixl::core::cuda {
namespace {

using Sort = Sharing::Sort;

/// Memory of another context of the same GPU has addresses that mean something else in ours.
bool is_open_in_context(const Gpu& reader, const Region& region) noexcept {
    const Calls& call = reader.driver.call;
    Context owner = nullptr;
    Address for_gpus = 0;
    uint32_t is_managed = 1;
    if (!answers(call, PointerAttribute::CONTEXT, region.address, &owner))
        owner = nullptr; // of mappings and pools there is none
    return answers(call, PointerAttribute::DEVICE_POINTER, region.address, &for_gpus) &&
           for_gpus == region.address &&
           // Managed memory may lie anywhere, and moves.
           answers(call, PointerAttribute::IS_MANAGED, region.address, &is_managed) &&
           is_managed == 0 &&
           (region.gpu == nullptr || owner == nullptr || owner == reader.context);
}

/// Physical memory at an address.
struct Mapping {
    Address start = 0;
    size_t bytes = 0;
    uint64_t buffer_id = 0;
    int access = 0; ///< of the current context's GPU
    uint32_t type = MEMORY_UNKNOWN;
};

/// False: the driver cannot tell. A hole among the mappings is no memory.
bool mapping_at(const Calls& call, Address address, Mapping* out) noexcept {
    PointerAttribute which[] = {PointerAttribute::MAPPING_START, PointerAttribute::MAPPING_BYTES,
                                PointerAttribute::BUFFER_ID, PointerAttribute::ACCESS,
                                PointerAttribute::MEMORY_TYPE};
    void* values[] = {&out->start, &out->bytes, &out->buffer_id, &out->access, &out->type};
    return call.pointer_attributes(static_cast<unsigned>(std::size(which)), which, values,
                                   address) == CuResult::SUCCESS;
}

Error hole_in(const Region& region, uint64_t offset) {
    return Error(Code::INVALID_ARGUMENT,
                 "there is no memory at byte " + std::to_string(offset) + " of the " +
                     std::to_string(region.bytes) + " bytes: it was freed or unmapped, or its " +
                     "addresses were reserved only",
                 "register what is there, and close buffers before their memory goes");
}

/// Of the row: the first, the last, and some between, evenly.
void keep_some(std::vector<Region::Mark>* marks) {
    const size_t count = marks->size();
    if (count <= Region::MOST_MARKS)
        return;
    std::vector<Region::Mark> kept;
    for (size_t i = 0; i < Region::MOST_MARKS; ++i)
        kept.push_back((*marks)[i * (count - 1) / (Region::MOST_MARKS - 1)]);
    *marks = std::move(kept);
}

/// Walks over the mappings of a region. It is left to copies where the driver cannot tell them.
Result<void> inspect_mappings(const Calls& call, Region* region) {
    Sharing& sharing = region->sharing;
    const Address end = region->address + region->bytes;
    std::vector<Region::Mark> marks;
    bool is_open_to_owner = true;
    Mapping mapping;
    for (Address at = region->address; at < end; at = mapping.start + mapping.bytes) {
        if (!mapping_at(call, at, &mapping)) { // an older driver, or a GPU that is lost
            region->kernels_reach = false;
            return {};
        }
        if (mapping.type != MEMORY_DEVICE || mapping.bytes == 0)
            return hole_in(*region, at - region->address);
        if (at == region->address)
            sharing.mapped = mapping.start;
        is_open_to_owner = is_open_to_owner && mapping.access == ALL_ACCESS;
        marks.push_back({at, mapping.buffer_id});
    }
    sharing.sort = Sort::MAPPED;
    if (is_open_to_owner)
        sharing.note_open_to(region->gpu->number);
    sharing.mapped_bytes = mapping.start + mapping.bytes - sharing.mapped;
    keep_some(&marks);
    region->marks = std::move(marks);
    return {};
}

/// Who may touch it. The region has its first mark.
Result<void> inspect_sharing(const Calls& call, Region* region) {
    uint32_t is_plain = 0;
    Pool pool = nullptr;
    Context owner = nullptr;
    if (answers(call, PointerAttribute::IS_PLAIN_ALLOCATION, region->address, &is_plain) &&
        is_plain != 0) {
        region->sharing.sort = Sort::PEERS;
        return {};
    }
    if (answers(call, PointerAttribute::POOL, region->address, &pool) && pool != nullptr) {
        region->sharing.sort = Sort::POOLED;
        region->sharing.note_open_to(region->gpu->number);
        return {};
    }
    // All other memory is some context's.
    const bool is_mapped =
        answers(call, PointerAttribute::CONTEXT, region->address, &owner) && owner == nullptr;
    return is_mapped ? inspect_mappings(call, region) : Result<void>();
}

} // namespace

Region::~Region() {
    if (pinned != nullptr)
        pinned->remove(address, bytes);
    if (openings != nullptr)
        openings->remove(this);
}

Result<void> inspect(const Gpu& reader, Region* region) {
    const Calls& call = reader.driver.call;
    const CudaScope scope(reader.driver, reader.context);
    if (scope.result != CuResult::SUCCESS)
        return reader.driver.error(scope.result, "GPU " + std::to_string(reader.number) +
                                                     ": looking at the memory of a buffer");
    if (region->bytes == 0)
        return {};
    region->kernels_reach = is_open_in_context(reader, *region);
    if (region->pinned != nullptr)
        return {};
    uint64_t buffer_id = 0;
    if (!answers(call, PointerAttribute::BUFFER_ID, region->address, &buffer_id))
        region->kernels_reach = false;
    else if (buffer_id != 0)
        region->marks = {{region->address, buffer_id}};
    return region->gpu != nullptr ? inspect_sharing(call, region) : Result<void>();
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
    if (seen_alive_.load(std::memory_order_relaxed) == occasion)
        return CuResult::SUCCESS;
    for (const Mark& mark : marks) {
        uint64_t now = 0;
        const CuResult result = ask(call, PointerAttribute::BUFFER_ID, mark.place, &now);
        if (result != CuResult::SUCCESS || now != mark.buffer_id)
            return result != CuResult::SUCCESS ? result : CuResult::INVALID_VALUE;
    }
    seen_alive_.store(occasion, std::memory_order_relaxed);
    return CuResult::SUCCESS;
}

} // namespace nixl::core::cuda
