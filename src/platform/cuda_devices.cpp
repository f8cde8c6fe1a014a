// SPDX-License-Identifier: Apache-2.0
#include "platform/cuda_devices.h"

namespace nixl::core {

CudaDevices::~CudaDevices() {
    const MutexLock lock(mutex_);
    for (const auto& [number, context] : contexts_)
        (void)driver_.call.context_release(number);
}

Result<cuda::Context> CudaDevices::context(int number) {
    if (number < 0 || static_cast<uint32_t>(number) >= driver_.devices)
        return Error(Code::NOT_FOUND,
                     "there is no GPU " + std::to_string(number) + ": this process sees " +
                         std::to_string(driver_.devices),
                     "GPUs count from 0; CUDA_VISIBLE_DEVICES chooses which are visible");
    const MutexLock lock(mutex_);
    if (const auto found = contexts_.find(number); found != contexts_.end())
        return found->second;
    cuda::Context context = nullptr;
    const cuda::CuResult made = driver_.call.context_retain(&context, number);
    if (made != cuda::CuResult::SUCCESS)
        return driver_.error(made, "GPU " + std::to_string(number) + ": creating its context");
    contexts_[number] = context;
    return context;
}

} // namespace nixl::core
