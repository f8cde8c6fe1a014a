// SPDX-License-Identifier: Apache-2.0
#include "gpus.h"

namespace nixl::core::cuda {
namespace {

std::string version_text(int compute) {
    return std::to_string(compute / 10) + "." + std::to_string(compute % 10);
}

} // namespace

Gpu::~Gpu() {
    const CudaScope scope(driver, context); // which others of the process may keep
    kernels.unload();
    const MutexLock lock(mutex_);
    if (stream_ != nullptr)
        (void)driver.call.stream_destroy(stream_);
}

std::string Gpu::what_kernels_lack() const {
    const std::string without =
        "; scattered blocks go through the copy engines, some microseconds each";
    if (kernels.compute() < GpuKernels::OLDEST)
        return "compute capability " + version_text(kernels.compute()) + " is below " +
               version_text(GpuKernels::OLDEST) + ", which the copying kernels need" + without;
    const std::string why = " (" + driver.text_of(why_no_kernels) + ")";
    return kernels.any() ? "its driver does not load the kernel of bulk copies" + why +
                               "; scattered blocks go through the plain one"
                         : "its driver does not load the copying kernels" + why + without;
}

CuResult Gpu::upload(Address target, const void* source, uint64_t bytes) {
    const MutexLock lock(mutex_);
    const Calls& call = driver.call;
    CuResult result = CuResult::SUCCESS;
    if (stream_ == nullptr)
        result = call.stream_create(&stream_, STREAM_NON_BLOCKING, 0);
    if (result == CuResult::SUCCESS)
        result = call.copy_to_device(target, source, bytes, stream_);
    if (result == CuResult::SUCCESS)
        result = call.stream_synchronize(stream_);
    note(result);
    return result;
}

Result<Gpu*> Gpus::use(int number) {
    NIXL_ASSIGN_OR_RETURN(const Context context, devices_.context(number));
    const auto slot = static_cast<uint32_t>(number);
    if (slot >= MAX_GPUS)
        return Error(Code::UNSUPPORTED, "GPU " + std::to_string(number) + " is one too many: " +
                                            std::to_string(MAX_GPUS) + " can be used");
    const MutexLock lock(mutex_);
    auto& gpu = owned_[slot];
    if (gpu != nullptr)
        return gpu.get();
    gpu = std::make_unique<Gpu>(driver(), number, context);
    {
        const CudaScope scope(driver(), context);
        gpu->why_no_kernels = gpu->kernels.load(driver(), number);
    }
    for (const auto& other : owned_)
        if (other != nullptr && other != gpu) {
            enable_access(*gpu, *other);
            enable_access(*other, *gpu);
        }
    in_use_[slot].store(gpu.get());
    return gpu.get();
}

std::vector<Gpu*> Gpus::all() const {
    std::vector<Gpu*> found;
    for (const auto& slot : in_use_)
        if (Gpu* const gpu = slot.load(std::memory_order_acquire); gpu != nullptr)
            found.push_back(gpu);
    return found;
}

Result<Gpu*> Gpus::any() {
    for (const auto& slot : in_use_) {
        Gpu* const gpu = slot.load(std::memory_order_acquire); // pairs with use()
        if (gpu != nullptr && !gpu->is_lost())
            return gpu;
    }
    Context current = nullptr;
    Device number = 0;
    if (driver().call.context_current(&current) != CuResult::SUCCESS || current == nullptr ||
        driver().call.context_device(&number) != CuResult::SUCCESS)
        number = 0;
    return use(number);
}

/// Without it the driver stages copies between the two; that it is so is no error.
void Gpus::enable_access(Gpu& from, const Gpu& to) const noexcept {
    const Calls& call = driver().call;
    int can = 0;
    if (call.device_can_access(&can, from.number, to.number) != CuResult::SUCCESS || can == 0)
        return;
    const CudaScope scope(driver(), from.context);
    if (scope.result != CuResult::SUCCESS)
        return;
    const CuResult enabled = call.peer_enable(to.context, 0);
    if (enabled == CuResult::SUCCESS || enabled == CuResult::PEER_ACCESS_ALREADY_ENABLED)
        from.let_into(to);
}

} // namespace nixl::core::cuda
