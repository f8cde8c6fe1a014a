// SPDX-License-Identifier: Apache-2.0
// The copying kernels: the same walk over the same list, with memcpy() as the move.
#include <algorithm>

#include "backends/cuda/kernels/texts.h"
#include "backends/cuda/kernels/walk.h"
#include "kernels.h"

namespace nixl::simcuda {
namespace {

using core::cuda::BulkShape;
using core::cuda::Chunk;
using core::cuda::CopyList;
using core::cuda::CuResult;
using core::cuda::ListSide;
using core::cuda::PlainShape;
using core::cuda::Walk;

constexpr size_t PARAMETER_BYTES[] = {sizeof(CopyList)};

/// Makes an array of the GPU's readable here; false: the GPU may not read it.
template <typename Value> bool reach(const Launch& launch, const Value** array, uint64_t count) {
    if (*array == nullptr || count == 0)
        return true;
    *array = static_cast<const Value*>(
        launch.resolve(reinterpret_cast<uintptr_t>(*array), count * sizeof(Value), false));
    return *array != nullptr;
}

/// What an index may pick is not in the list: as much of the addresses as it picks.
uint64_t addresses_of(const ListSide& side, uint64_t count) {
    return side.index == nullptr ? count
                                 : uint64_t{*std::max_element(side.index, side.index + count)} + 1;
}

bool reach(const Launch& launch, CopyList* list) {
    for (ListSide* const side : {&list->source, &list->target})
        if (!reach(launch, &side->index, list->count) ||
            !reach(launch, &side->addresses, addresses_of(*side, list->count)))
            return false;
    return reach(launch, &list->entries, list->count);
}

bool copy(const Launch& launch, const Chunk& chunk) {
    const void* const source = launch.resolve(chunk.source, chunk.bytes, false);
    void* const target = launch.resolve(chunk.target, chunk.bytes, true);
    if (source == nullptr || target == nullptr)
        return false;
    std::memmove(target, source, chunk.bytes);
    return true;
}

/// `alignment`: of every address and length, as the instructions want it.
CuResult gather(const Launch& launch, uint32_t warps, uint32_t chunk_bytes, uint64_t alignment) {
    auto list = launch.parameter<CopyList>(0);
    if (!reach(launch, &list))
        return CuResult::SUCCESS; // the launch notes it
    const uint64_t workers = uint64_t{launch.grid.x} * warps;
    for (uint64_t worker = 0; worker < workers; ++worker) {
        Walk walk(list, worker, workers, chunk_bytes);
        for (Chunk chunk; walk.next(&chunk);) {
            if ((chunk.source | chunk.target | chunk.bytes) % alignment != 0)
                return CuResult::MISALIGNED_ADDRESS;
            if (!copy(launch, chunk))
                return CuResult::SUCCESS;
        }
    }
    return CuResult::SUCCESS;
}

CuResult gather_bulk(const Launch& launch) {
    if (launch.block.x != BulkShape::THREADS || launch.shared_bytes < BulkShape::SHARED_BYTES)
        return CuResult::LAUNCH_FAILED;
    return gather(launch, BulkShape::WARPS, BulkShape::CHUNK_BYTES, BulkShape::ALIGNMENT);
}

CuResult gather_plain(const Launch& launch) {
    if (launch.block.x != PlainShape::THREADS)
        return CuResult::LAUNCH_FAILED;
    return gather(launch, PlainShape::WARPS, PlainShape::CHUNK_BYTES, 1);
}

} // namespace

const Kernel GATHER_BULK = {core::cuda::GATHER_BULK_NAME, PARAMETER_BYTES, gather_bulk};
const Kernel GATHER_PLAIN = {core::cuda::GATHER_PLAIN_NAME, PARAMETER_BYTES, gather_plain};

} // namespace nixl::simcuda
