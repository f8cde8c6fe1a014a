// SPDX-License-Identifier: Apache-2.0
// Addresses for mapping, and physical memory mapped to them. Needs no context.
#include <span>

#include "call.h"
#include "granularity.h"

namespace nixl::simcuda {
namespace {

/// The mappings that fill a range exactly; none where they do not.
std::vector<Range*> mappings_of(Call& call, Address address, size_t bytes) {
    std::vector<Range*> found;
    while (bytes != 0) {
        Range* const range = call.driver.memory.from(address);
        if (range == nullptr || range->sort != Sort::MAPPED || range->bytes > bytes)
            return {};
        found.push_back(range);
        address += range->bytes;
        bytes -= range->bytes;
    }
    return found;
}

/// SUCCESS, or why the GPU cannot be put on the list.
CuResult check_access(Call& call, const Access& access, const Range& range) {
    const Gpu* const gpu = call.driver.gpu(access.location.device);
    const bool known =
        access.flags == NO_ACCESS || access.flags == READ_ACCESS || access.flags == ALL_ACCESS;
    if (access.location.type != ON_DEVICE || gpu == nullptr || !known)
        return CuResult::INVALID_VALUE;
    if (gpu != range.gpu && !call.driver.have_ways)
        return CuResult::INVALID_DEVICE;
    return gpu->is_lost() ? gpu->fault : CuResult::SUCCESS;
}

/// Bits of GPUs: those that a list names with a flag are set, or taken away.
void apply_access(const Gpu& gpu, int flags, Range& range) {
    range.readers &= ~gpu.bit();
    range.writers &= ~gpu.bit();
    if (flags != NO_ACCESS)
        range.readers |= gpu.bit();
    if (flags == ALL_ACCESS)
        range.writers |= gpu.bit();
}

CuResult map_range(Call& call, Address address, size_t bytes, std::shared_ptr<Physical> physical) {
    const auto found = call.driver.reservation_at(address);
    if (found == call.driver.reservations.end())
        return CuResult::INVALID_VALUE;
    const size_t offset = static_cast<size_t>(address - found->first);
    const Reservation& reservation = found->second;
    if (bytes > reservation.forbidden.bytes() - offset || bytes > physical->bytes ||
        call.driver.memory.overlaps(address, bytes))
        return CuResult::INVALID_VALUE;
    std::byte* const alias = reservation.alias.address() + offset;
    if (!physical->file.show_at(alias, bytes, 0))
        return CuResult::OUT_OF_MEMORY;
    Range range;
    range.sort = Sort::MAPPED;
    range.start = address;
    range.bytes = bytes;
    range.gpu = physical->gpu;
    range.alias = alias;
    range.physical = std::move(physical);
    call.driver.memory.add(std::move(range));
    return CuResult::SUCCESS;
}

} // namespace

extern "C" {

/// The wish is not heeded, as the real driver may do.
CuResult cuMemAddressReserve(Address* out, size_t bytes, size_t alignment, Address /*wish*/,
                             unsigned long long flags) {
    return in_driver([&](Call& call) {
        if (out == nullptr || !is_whole(bytes) || flags != 0 || (alignment & (alignment - 1)) != 0)
            return CuResult::INVALID_VALUE;
        const size_t aligned = alignment > GRANULARITY ? alignment : GRANULARITY;
        Reservation reservation = {Pages::reserved(bytes, aligned),
                                   Pages::reserved(bytes, aligned)};
        if (!reservation.forbidden || !reservation.alias)
            return CuResult::OUT_OF_MEMORY;
        *out = reinterpret_cast<uintptr_t>(reservation.forbidden.address());
        call.driver.reservations.emplace(*out, std::move(reservation));
        return CuResult::SUCCESS;
    });
}

CuResult cuMemAddressFree(Address address, size_t bytes) {
    return in_driver([&](Call& call) {
        const auto found = call.driver.reservations.find(address);
        if (found == call.driver.reservations.end() || found->second.forbidden.bytes() != bytes ||
            call.driver.memory.overlaps(address, bytes))
            return CuResult::INVALID_VALUE;
        call.driver.reservations.erase(found);
        return CuResult::SUCCESS;
    });
}

CuResult cuMemMap(Address address, size_t bytes, size_t offset, Allocation allocation,
                  unsigned long long flags) {
    return in_driver([&](Call& call) {
        auto physical = call.driver.physical.find(allocation);
        if (!physical || !is_whole(bytes) || address % GRANULARITY != 0 || offset != 0 ||
            flags != 0)
            return CuResult::INVALID_VALUE;
        return map_range(call, address, bytes, std::move(physical));
    });
}

CuResult cuMemUnmap(Address address, size_t bytes) {
    return in_driver([&](Call& call) {
        const auto mappings = mappings_of(call, address, bytes);
        if (mappings.empty())
            return CuResult::INVALID_VALUE;
        for (Range* const range : mappings)
            range->closing = true; // all at once: the lock is given up while one is waited for
        for (Range* const range : mappings) {
            call.driver.progress.wait(call.lock, [&] { return range->uses == 0; });
            (void)hide_at(range->alias, range->bytes);
            call.driver.memory.remove(*range, call.lock, call.driver.progress);
        }
        call.driver.pins.revoke(call.driver.memory);
        return CuResult::SUCCESS;
    });
}

CuResult cuMemSetAccess(Address address, size_t bytes, const Access* list, size_t count) {
    return in_driver([&](Call& call) {
        const auto mappings = mappings_of(call, address, bytes);
        if (mappings.empty() || list == nullptr || count == 0)
            return CuResult::INVALID_VALUE;
        const std::span accesses(list, count);
        for (const Range* const range : mappings)
            for (const Access& access : accesses)
                if (const CuResult refused = check_access(call, access, *range);
                    refused != CuResult::SUCCESS)
                    return refused;
        for (Range* const range : mappings)
            for (const Access& access : accesses)
                apply_access(*call.driver.gpu(access.location.device), access.flags, *range);
        return CuResult::SUCCESS;
    });
}
}

} // namespace nixl::simcuda
