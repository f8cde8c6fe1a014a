// SPDX-License-Identifier: Apache-2.0
// Memory of GPUs, and memory that both sides touch.
#include "call.h"

namespace nixl::simcuda {
namespace {

constexpr size_t GRANULE_BYTES = 512;

/// 0 where there is no such number.
size_t rounded(size_t bytes) {
    const size_t more = GRANULE_BYTES - 1;
    return bytes > SIZE_MAX - more ? 0 : (bytes + more) / GRANULE_BYTES * GRANULE_BYTES;
}

/// Charges the current GPU for an allocation, and checks what every allocation checks.
CuResult charge(Call& call, const void* out, size_t bytes, Range* range) {
    if (out == nullptr || bytes == 0)
        return CuResult::INVALID_VALUE;
    if (const CuResult fault = call.driver.faults.on_allocation(); fault != CuResult::SUCCESS)
        return fault;
    auto charge = rounded(bytes) != 0 ? Charge::of(*call.gpu, rounded(bytes)) : std::nullopt;
    if (!charge)
        return CuResult::OUT_OF_MEMORY;
    range->charge = std::move(*charge);
    range->gpu = call.gpu;
    range->context = call.gpu->context;
    range->bytes = bytes;
    return CuResult::SUCCESS;
}

/// Memory that host code cannot touch, of the current GPU.
CuResult take_from_heap(Call& call, Address* out, size_t bytes, Sort sort) {
    Range range;
    if (const CuResult failed = charge(call, out, bytes, &range); failed != CuResult::SUCCESS)
        return failed;
    Heap& heap = *call.gpu->heap;
    const auto address = heap.take(rounded(bytes));
    if (!address)
        return CuResult::OUT_OF_MEMORY;
    range.sort = sort;
    range.part = HeapPart(heap, *address, rounded(bytes));
    range.start = *address;
    range.alias = heap.alias(*address);
    if (sort == Sort::POOLED)
        range.context = nullptr; // it is a pool's
    *out = call.driver.memory.add(std::move(range)).start;
    return CuResult::SUCCESS;
}

} // namespace

extern "C" {

CuResult cuMemGetInfo_v2(size_t* free_bytes, size_t* total_bytes) {
    return in_context([&](Call& call) {
        if (free_bytes == nullptr || total_bytes == nullptr)
            return CuResult::INVALID_VALUE;
        *free_bytes = call.gpu->total_bytes - call.gpu->used_bytes;
        *total_bytes = call.gpu->total_bytes;
        return CuResult::SUCCESS;
    });
}

CuResult cuMemAlloc_v2(Address* out, size_t bytes) {
    return in_context([&](Call& call) { return take_from_heap(call, out, bytes, Sort::DEVICE); });
}

/// Of the GPU's default pool; it is there at once, earlier than the stream promises.
CuResult cuMemAllocAsync(Address* out, size_t bytes, Stream stream) {
    return in_context([&](Call& call) {
        return queue_of(call, stream) ? take_from_heap(call, out, bytes, Sort::POOLED)
                                      : CuResult::INVALID_HANDLE;
    });
}

CuResult cuMemAllocManaged(Address* out, size_t bytes, unsigned flags) {
    return in_context([&](Call& call) {
        if (flags != MANAGED_ATTACH_GLOBAL)
            return CuResult::INVALID_VALUE;
        Range range;
        if (const CuResult failed = charge(call, out, bytes, &range); failed != CuResult::SUCCESS)
            return failed;
        range.pages = Pages::anonymous(bytes);
        if (!range.pages)
            return CuResult::OUT_OF_MEMORY;
        range.sort = Sort::MANAGED;
        range.alias = range.pages.address();
        range.start = reinterpret_cast<uintptr_t>(range.alias);
        *out = call.driver.memory.add(std::move(range)).start;
        return CuResult::SUCCESS;
    });
}

CuResult cuMemFree_v2(Address address) {
    return in_context([&](Call& call) {
        Memory& memory = call.driver.memory;
        const auto find = [&] {
            Range* const range = memory.from(address);
            const bool ours =
                range != nullptr && (range->sort == Sort::DEVICE || range->sort == Sort::POOLED ||
                                     range->sort == Sort::MANAGED);
            return ours ? range : nullptr;
        };
        Range* range = find();
        if (range == nullptr)
            return CuResult::INVALID_VALUE;
        const uint64_t id = range->id;
        wait_for(call.driver, call.lock, ends_of(*range->gpu)); // another thread may free it, too
        range = find();
        if (range == nullptr || range->id != id)
            return CuResult::INVALID_VALUE;
        if (call.outcome() == CuResult::SUCCESS) {
            memory.remove(*range, call.lock, call.driver.progress);
            call.driver.pins.revoke(memory);
        }
        return call.outcome();
    });
}
}

} // namespace nixl::simcuda
