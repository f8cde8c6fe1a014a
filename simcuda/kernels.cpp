// SPDX-License-Identifier: Apache-2.0
#include "kernels.h"

#include "work.h"

namespace nixl::simcuda {

void* Launch::resolve(core::cuda::Address address, size_t bytes, bool writes) const {
    std::byte* const reached = work_.reach(address, bytes, writes, Engine::KERNEL);
    illegal_ = illegal_ || reached == nullptr;
    return reached;
}

const Kernel* find_kernel(std::string_view name) {
    for (const Kernel* const kernel : {&FILL_WORDS, &GATHER_BULK, &GATHER_PLAIN})
        if (kernel->name == name)
            return kernel;
    return nullptr;
}

} // namespace nixl::simcuda
