// SPDX-License-Identifier: Apache-2.0
// What is known of an address.
#include "call.h"

namespace nixl::simcuda {
namespace {

template <typename Value> void put(void* out, Value value) { *static_cast<Value*>(out) = value; }

/// Of the GPU whose context is current.
int access_of(const Range* range, const Gpu* current) {
    if (range == nullptr || current == nullptr)
        return NO_ACCESS;
    if (range->sort != Sort::MAPPED)
        return ALL_ACCESS;
    const uint64_t bit = uint64_t{1} << current->ordinal;
    return (range->writers & bit) != 0   ? ALL_ACCESS
           : (range->readers & bit) != 0 ? READ_ACCESS
                                         : NO_ACCESS;
}

struct Span {
    Address start = 0;
    size_t bytes = 0;
};

/// The allocation; of mappings, and the holes between them, all addresses that were reserved.
Span span_of(Driver& driver, const Range* range, Address address) {
    if (const auto found = driver.reservation_at(address); found != driver.reservations.end())
        return {found->first, found->second.forbidden.bytes()};
    return range != nullptr ? Span{range->start, range->bytes} : Span{};
}

/// Handles of pools are the GPUs themselves, since each has but one.
Pool pool_of(const Range& range) {
    return range.sort == Sort::POOLED ? reinterpret_cast<Pool>(range.gpu) : nullptr;
}

/// An address that is unknown has zeros, as in the real call for several attributes.
CuResult put_attribute(void* out, PointerAttribute which, const Range* range, Address address,
                       const Call& call) {
    const Gpu* const current = call.gpu;
    const bool known = range != nullptr;
    const bool host_reaches = known && !range->is_device_only();
    switch (which) {
    case PointerAttribute::CONTEXT:
        put<Context>(out, known ? range->context : nullptr);
        return CuResult::SUCCESS;
    case PointerAttribute::MEMORY_TYPE:
        put<uint32_t>(out, !known             ? MEMORY_UNKNOWN
                           : range->is_host() ? MEMORY_HOST
                                              : MEMORY_DEVICE);
        return CuResult::SUCCESS;
    case PointerAttribute::DEVICE_POINTER:
        put<Address>(out, known && current != nullptr ? address : 0); // as that context sees it
        return CuResult::SUCCESS;
    case PointerAttribute::HOST_POINTER:
        put<void*>(out, host_reaches ? reinterpret_cast<void*>(address) : nullptr);
        return CuResult::SUCCESS;
    case PointerAttribute::BUFFER_ID:
        put<uint64_t>(out, known ? range->id : 0);
        return CuResult::SUCCESS;
    case PointerAttribute::IS_MANAGED:
        put<uint32_t>(out, known && range->sort == Sort::MANAGED ? 1 : 0);
        return CuResult::SUCCESS;
    case PointerAttribute::DEVICE_ORDINAL:
        put<int>(out, known ? range->gpu->ordinal : 0);
        return CuResult::SUCCESS;
    case PointerAttribute::IS_PLAIN_ALLOCATION:
        put<uint32_t>(out, known && range->sort == Sort::DEVICE ? 1 : 0);
        return CuResult::SUCCESS;
    case PointerAttribute::ACCESS:
        put<int>(out, access_of(range, current));
        return CuResult::SUCCESS;
    case PointerAttribute::RANGE_START:
        put<Address>(out, span_of(call.driver, range, address).start);
        return CuResult::SUCCESS;
    case PointerAttribute::RANGE_BYTES:
        put<size_t>(out, span_of(call.driver, range, address).bytes);
        return CuResult::SUCCESS;
    case PointerAttribute::MAPPING_START:
    case PointerAttribute::MAPPING_BYTES:
        if (call.driver.version < 11070)
            return CuResult::INVALID_VALUE;
        if (which == PointerAttribute::MAPPING_START)
            put<Address>(out, known ? range->start : 0);
        else
            put<size_t>(out, known ? range->bytes : 0);
        return CuResult::SUCCESS;
    case PointerAttribute::POOL:
        put<Pool>(out, known ? pool_of(*range) : nullptr);
        return CuResult::SUCCESS;
    }
    return CuResult::INVALID_VALUE;
}

} // namespace

/// Needs no context; but in one that has faulted it gives the fault, like any other call.
extern "C" CuResult cuPointerGetAttributes(unsigned count, PointerAttribute* which, void** out,
                                           Address address) {
    return in_driver([&](Call& call) {
        if (count == 0 || which == nullptr || out == nullptr)
            return CuResult::INVALID_VALUE;
        if (!context_stack().empty())
            if (const CuResult fault = enter_context(call); fault != CuResult::SUCCESS)
                return fault;
        const Range* const range = call.driver.memory.at(address);
        for (unsigned i = 0; i < count; ++i)
            if (out[i] == nullptr ||
                put_attribute(out[i], which[i], range, address, call) != CuResult::SUCCESS)
                return CuResult::INVALID_VALUE;
        return CuResult::SUCCESS;
    });
}

} // namespace nixl::simcuda
