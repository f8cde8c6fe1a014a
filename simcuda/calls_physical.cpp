// SPDX-License-Identifier: Apache-2.0
// Physical memory for mapping. Needs no context.
#include <fcntl.h>

#include "call.h"
#include "granularity.h"

namespace nixl::simcuda {
namespace {

/// nullptr for memory that is not a GPU's, or of no GPU.
Gpu* gpu_of(Call& call, const AllocationOptions* options) {
    if (options == nullptr || options->type != PINNED_PHYSICAL ||
        options->location.type != ON_DEVICE || (options->handle_types & ~FILE_DESCRIPTOR) != 0)
        return nullptr;
    return call.driver.gpu(options->location.device);
}

} // namespace

extern "C" {

CuResult cuMemGetAllocationGranularity(size_t* out, const AllocationOptions* options, int option) {
    return in_driver([&](Call& call) {
        if (out == nullptr || gpu_of(call, options) == nullptr || (option != 0 && option != 1))
            return CuResult::INVALID_VALUE;
        *out = GRANULARITY;
        return CuResult::SUCCESS;
    });
}

CuResult cuMemCreate(Allocation* out, size_t bytes, const AllocationOptions* options,
                     unsigned long long flags) {
    return in_driver([&](Call& call) {
        Gpu* const gpu = gpu_of(call, options);
        if (out == nullptr || gpu == nullptr || !is_whole(bytes) || flags != 0)
            return CuResult::INVALID_VALUE;
        if (gpu->fault != CuResult::SUCCESS)
            return gpu->fault;
        if (const CuResult fault = call.driver.faults.on_allocation(); fault != CuResult::SUCCESS)
            return fault;
        auto charge = Charge::of(*gpu, bytes);
        auto file = charge ? MemoryFile::create(bytes) : std::nullopt;
        if (!file)
            return CuResult::OUT_OF_MEMORY;
        *out = call.driver.physical.add(std::make_shared<Physical>(
            Physical{gpu, bytes, options->handle_types == FILE_DESCRIPTOR,
                     options->gpu_direct_rdma != 0, std::move(*charge), std::move(*file)}));
        return CuResult::SUCCESS;
    });
}

CuResult cuMemRelease(Allocation allocation) {
    return in_driver([&](Call& call) {
        return call.driver.physical.take(allocation) ? CuResult::SUCCESS : CuResult::INVALID_VALUE;
    });
}

/// A handle more of what is mapped at an address.
CuResult cuMemRetainAllocationHandle(Allocation* out, void* address) {
    return in_driver([&](Call& call) {
        const Range* const range = call.driver.memory.at(reinterpret_cast<uintptr_t>(address));
        if (out == nullptr || range == nullptr || range->sort != Sort::MAPPED)
            return CuResult::INVALID_VALUE;
        *out = call.driver.physical.add(range->physical);
        return CuResult::SUCCESS;
    });
}

CuResult cuMemExportToShareableHandle(void* out, Allocation allocation, int type,
                                      unsigned long long flags) {
    return in_driver([&](Call& call) {
        const auto physical = call.driver.physical.find(allocation);
        if (out == nullptr || !physical || flags != 0 || type != FILE_DESCRIPTOR ||
            !physical->exportable)
            return CuResult::INVALID_VALUE;
        const int descriptor = ::fcntl(physical->file.fd(), F_DUPFD_CLOEXEC, 0);
        if (descriptor < 0)
            return CuResult::OPERATING_SYSTEM;
        *static_cast<int*>(out) = descriptor;
        return CuResult::SUCCESS;
    });
}
}

} // namespace nixl::simcuda
