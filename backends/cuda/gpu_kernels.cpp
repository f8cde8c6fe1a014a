// SPDX-License-Identifier: Apache-2.0
#include "gpu_kernels.h"

#include <algorithm>
#include <utility>

#include "kernels/texts.h"

namespace nixl::core::cuda {
namespace {

constexpr int HOPPER = 90; // first compute capability with bulk copies

int attribute(const Calls& call, DeviceAttribute which, Device device) noexcept {
    int value = 0;
    return call.device_attribute(&value, which, device) == CuResult::SUCCESS ? value : 0;
}

CuResult function(const Calls& call, const char* text, const char* name, Module* module,
                  Function* out) noexcept {
    const CuResult result = call.module_load(module, text);
    return result == CuResult::SUCCESS ? call.module_function(out, *module, name) : result;
}

} // namespace

CuResult GpuKernels::load(const CudaDriver& driver, Device device) {
    driver_ = &driver;
    const int processors = attribute(driver.call, DeviceAttribute::MULTIPROCESSOR_COUNT, device);
    multiprocessors_ = static_cast<uint32_t>(std::max(processors, 1));
    compute_ = 10 * attribute(driver.call, DeviceAttribute::COMPUTE_CAPABILITY_MAJOR, device) +
               attribute(driver.call, DeviceAttribute::COMPUTE_CAPABILITY_MINOR, device);
    const CuResult result =
        function(driver.call, GATHER_PLAIN_PTX, GATHER_PLAIN_NAME, &modules_[0], &plain_);
    return result == CuResult::SUCCESS ? load_bulk(device) : result;
}

void GpuKernels::unload() noexcept {
    for (Module& module : modules_)
        if (module != nullptr)
            (void)driver_->call.module_unload(std::exchange(module, nullptr));
    plain_ = bulk_ = nullptr;
}

CuResult GpuKernels::load_bulk(Device device) {
    const Calls& call = driver_->call;
    constexpr int SHARED = BulkShape::SHARED_BYTES, STATIC = BulkShape::STATIC_BYTES;
    if (compute_ < HOPPER ||
        attribute(call, DeviceAttribute::SHARED_MEMORY_PER_BLOCK_OPT_IN, device) < SHARED + STATIC)
        return CuResult::SUCCESS;
    Function loaded = nullptr;
    CuResult result = function(call, GATHER_BULK_PTX, GATHER_BULK_NAME, &modules_[1], &loaded);
    if (result == CuResult::SUCCESS)
        result = call.function_set(loaded, FunctionAttribute::MAX_DYNAMIC_SHARED_BYTES, SHARED);
    if (result == CuResult::SUCCESS)
        bulk_ = loaded;
    return result;
}

/// As many as there are units, within the budget: each multiprocessor more adds to the rate.
unsigned GpuKernels::blocks_for(const CopyList& list, uint32_t budget) const noexcept {
    const uint64_t most = budget == 0 ? multiprocessors_ : std::min(budget, multiprocessors_);
    const uint64_t parts =
        list.entries != nullptr ? 1 : (list.bytes + Walk::UNIT_BYTES - 1) / Walk::UNIT_BYTES;
    return static_cast<unsigned>(std::clamp<uint64_t>(list.count * parts, 1, most));
}

CuResult GpuKernels::launch_bulk(const CopyList& list, uint32_t budget,
                                 Stream stream) const noexcept {
    void* parameters[] = {const_cast<CopyList*>(&list)};
    return driver_->call.launch(bulk_, blocks_for(list, budget), 1, 1, BulkShape::THREADS, 1, 1,
                                BulkShape::SHARED_BYTES, stream, parameters, nullptr);
}

CuResult GpuKernels::launch_plain(const CopyList& list, uint32_t budget,
                                  Stream stream) const noexcept {
    void* parameters[] = {const_cast<CopyList*>(&list)};
    return driver_->call.launch(plain_, blocks_for(list, budget), 1, 1, PlainShape::THREADS, 1, 1,
                                0, stream, parameters, nullptr);
}

} // namespace nixl::core::cuda
