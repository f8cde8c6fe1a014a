// SPDX-License-Identifier: Apache-2.0
// Whom the pools of GPUs are open to. Needs no context.
#include <span>

#include "call.h"
#include "granularity.h"

namespace nixl::simcuda {
namespace {

/// nullptr where the handle is none.
Gpu* gpu_of(Call& call, Pool pool) {
    for (const auto& gpu : call.driver.gpus)
        if (reinterpret_cast<Pool>(gpu.get()) == pool)
            return gpu.get();
    return nullptr;
}

} // namespace

extern "C" {

CuResult cuMemPoolGetAccess(int* out, Pool pool, const Location* location) {
    return in_driver([&](Call& call) {
        const Gpu* const gpu = gpu_of(call, pool);
        const Gpu* const other = location != nullptr ? call.driver.gpu(location->device) : nullptr;
        if (out == nullptr || gpu == nullptr || other == nullptr || location->type != ON_DEVICE)
            return CuResult::INVALID_VALUE;
        *out = gpu == other || (gpu->let_in & other->bit()) != 0 ? ALL_ACCESS : NO_ACCESS;
        return CuResult::SUCCESS;
    });
}

CuResult cuMemPoolSetAccess(Pool pool, const Access* list, size_t count) {
    return in_driver([&](Call& call) {
        Gpu* const gpu = gpu_of(call, pool);
        if (gpu == nullptr || list == nullptr || count == 0)
            return CuResult::INVALID_VALUE;
        for (const Access& access : std::span(list, count)) {
            const Gpu* const other = call.driver.gpu(access.location.device);
            if (other == nullptr || access.location.type != ON_DEVICE ||
                (access.flags != NO_ACCESS && access.flags != ALL_ACCESS))
                return CuResult::INVALID_VALUE;
            gpu->let_in = access.flags != NO_ACCESS ? gpu->let_in | other->bit()
                                                    : gpu->let_in & ~other->bit();
        }
        return CuResult::SUCCESS;
    });
}
}

} // namespace nixl::simcuda
