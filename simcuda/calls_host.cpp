// SPDX-License-Identifier: Apache-2.0
// Host memory that GPUs reach: allocated here, or registered.
#include <sys/mman.h>
#include <vector>

#include "call.h"

namespace nixl::simcuda {
namespace {

constexpr unsigned ALLOCATION_FLAGS = 7; // portable, device map, write-combined
constexpr unsigned REGISTRATION_FLAGS = 15;
constexpr uintptr_t PAGE_BYTES = 4096;

Address address_of(const void* host) { return reinterpret_cast<uintptr_t>(host); }

/// Whether the whole range is mapped in this process.
bool is_mapped(const void* address, size_t bytes) {
    const uintptr_t start = address_of(address) / PAGE_BYTES * PAGE_BYTES;
    const size_t length = bytes + (address_of(address) - start);
    std::vector<unsigned char> pages((length + PAGE_BYTES - 1) / PAGE_BYTES);
    return ::mincore(reinterpret_cast<void*>(start), length, pages.data()) == 0;
}

/// The range of a sort that starts there, or nullptr.
Range* find(Call& call, const void* host, Sort sort) {
    Range* const range = call.driver.memory.from(address_of(host));
    return range != nullptr && range->sort == sort ? range : nullptr;
}

/// What every range of the host has.
Range host_range(const Call& call, Sort sort, std::byte* start, size_t bytes) {
    Range range;
    range.sort = sort;
    range.start = address_of(start);
    range.bytes = bytes;
    range.gpu = call.gpu;
    range.context = call.gpu->context;
    range.alias = start;
    return range;
}

} // namespace

extern "C" {

CuResult cuMemHostAlloc(void** out, size_t bytes, unsigned flags) {
    return in_context([&](Call& call) {
        if (out == nullptr || bytes == 0 || (flags & ~ALLOCATION_FLAGS) != 0)
            return CuResult::INVALID_VALUE;
        if (const CuResult fault = call.driver.faults.on_allocation(); fault != CuResult::SUCCESS)
            return fault;
        Pages pages = Pages::anonymous(bytes);
        if (!pages)
            return CuResult::OUT_OF_MEMORY;
        Range range = host_range(call, Sort::HOST_ALLOCATED, pages.address(), bytes);
        range.pages = std::move(pages);
        *out = call.driver.memory.add(std::move(range)).alias;
        return CuResult::SUCCESS;
    });
}

CuResult cuMemFreeHost(void* address) {
    return in_context([&](Call& call) {
        const Range* const found = find(call, address, Sort::HOST_ALLOCATED);
        if (found == nullptr)
            return CuResult::INVALID_VALUE;
        const uint64_t id = found->id;
        wait_for(call.driver, call.lock, ends_of(*found->gpu));
        Range* const range = find(call, address, Sort::HOST_ALLOCATED);
        if (range == nullptr || range->id != id)
            return CuResult::INVALID_VALUE;
        if (call.outcome() == CuResult::SUCCESS)
            call.driver.memory.remove(*range, call.lock, call.driver.progress);
        return call.outcome();
    });
}

CuResult cuMemHostRegister_v2(void* address, size_t bytes, unsigned flags) {
    return in_context([&](Call& call) {
        if (address == nullptr || bytes == 0 || bytes > SIZE_MAX - address_of(address) ||
            (flags & ~REGISTRATION_FLAGS) != 0)
            return CuResult::INVALID_VALUE;
        if (call.driver.is_device_address(address_of(address)))
            return CuResult::INVALID_VALUE;
        if (call.driver.memory.overlaps(address_of(address), bytes))
            return CuResult::HOST_MEMORY_ALREADY_REGISTERED;
        if (!is_mapped(address, bytes))
            return CuResult::INVALID_VALUE;
        const CuResult fault = call.driver.faults.on_registration();
        if (fault == CuResult::SUCCESS)
            call.driver.memory.add(
                host_range(call, Sort::HOST_REGISTERED, static_cast<std::byte*>(address), bytes));
        return fault;
    });
}

/// Does not wait for queued work: what still needs the registration then finds it gone.
CuResult cuMemHostUnregister(void* address) {
    return in_context([&](Call& call) {
        Range* const range = find(call, address, Sort::HOST_REGISTERED);
        if (range == nullptr)
            return CuResult::HOST_MEMORY_NOT_REGISTERED;
        call.driver.memory.remove(*range, call.lock, call.driver.progress);
        return CuResult::SUCCESS;
    });
}

CuResult cuMemHostGetDevicePointer_v2(Address* out, void* host, unsigned flags) {
    return in_context([&](Call& call) {
        if (out == nullptr || flags != 0)
            return CuResult::INVALID_VALUE;
        const Range* const range = call.driver.memory.at(address_of(host));
        if (range == nullptr || !range->is_host())
            return CuResult::INVALID_VALUE;
        *out = address_of(host);
        return CuResult::SUCCESS;
    });
}
}

} // namespace nixl::simcuda
