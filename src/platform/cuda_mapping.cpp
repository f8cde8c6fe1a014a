// SPDX-License-Identifier: Apache-2.0
#include "platform/cuda_mapping.h"

namespace nixl::core {
namespace {

using cuda::Access;
using cuda::AllocationOptions;
using cuda::CuResult;
using cuda::DeviceAttribute;

constexpr int TELLS_MAPPINGS = 11070; // first driver with the attributes of mappings

bool has(const CudaDriver& driver, cuda::Device device, DeviceAttribute which) noexcept {
    int value = 0;
    return driver.call.device_attribute(&value, which, device) == CuResult::SUCCESS && value != 0;
}

bool works(const CudaDriver& driver, cuda::Device device) noexcept {
    unsigned flags = 0;
    int is_active = 0;
    return driver.call.context_state(device, &flags, &is_active) == CuResult::SUCCESS &&
           is_active != 0;
}

bool reaches(const CudaDriver& driver, cuda::Device device, cuda::Device other) noexcept {
    int can = 0;
    return driver.call.device_can_access(&can, device, other) == CuResult::SUCCESS && can != 0;
}

CuResult let_in(const CudaDriver& driver, cuda::Device device, const CudaMapping& mapping) {
    const Access access = {{cuda::ON_DEVICE, device}, cuda::ALL_ACCESS};
    return driver.call.map_access(mapping.address, mapping.bytes, &access, 1);
}

/// One that cannot be let in is no reason against the memory.
CuResult open_to_all(const CudaDriver& driver, cuda::Device owner, const CudaMapping& mapping) {
    const CuResult result = let_in(driver, owner, mapping);
    if (result != CuResult::SUCCESS)
        return result;
    for (int other = 0; other < static_cast<int>(driver.devices); ++other)
        if (other != owner && works(driver, other))
            (void)let_in(driver, other, mapping);
    return result;
}

void wait_for_gpus(const CudaDriver& driver) noexcept {
    for (int device = 0; device < static_cast<int>(driver.devices); ++device) {
        cuda::Context context = nullptr;
        if (!works(driver, device) ||
            driver.call.context_retain(&context, device) != CuResult::SUCCESS)
            continue;
        {
            const CudaScope scope(driver, context);
            if (scope.result == CuResult::SUCCESS)
                (void)driver.call.context_synchronize();
        }
        (void)driver.call.context_release(device);
    }
}

/// At new addresses. Leaves nothing behind where it fails.
CuResult map_physical(const CudaDriver& driver, cuda::Device owner, cuda::Allocation physical,
                      CudaMapping* made) {
    const cuda::Calls& call = driver.call;
    CuResult result = call.map_reserve(&made->address, made->bytes, 0, 0, 0);
    if (result != CuResult::SUCCESS)
        return result;
    result = call.map(made->address, made->bytes, 0, physical, 0);
    if (result == CuResult::SUCCESS) {
        result = open_to_all(driver, owner, *made);
        if (result == CuResult::SUCCESS)
            return result;
        (void)call.unmap(made->address, made->bytes);
    }
    (void)call.map_release_range(made->address, made->bytes);
    return result;
}

} // namespace

bool can_map(const CudaDriver& driver, cuda::Device device) noexcept {
    if (driver.version < TELLS_MAPPINGS ||
        !has(driver, device, DeviceAttribute::VIRTUAL_MEMORY_MANAGEMENT) ||
        !has(driver, device, DeviceAttribute::POSIX_DESCRIPTOR_HANDLES))
        return false;
    for (int other = 0; other < static_cast<int>(driver.devices); ++other)
        if (other != device && !(reaches(driver, other, device) && reaches(driver, device, other)))
            return false;
    return true;
}

CuResult map_memory(const CudaDriver& driver, cuda::Device device, uint64_t bytes,
                    CudaMapping* out) {
    AllocationOptions options{};
    options.type = cuda::PINNED_PHYSICAL;
    options.handle_types = cuda::FILE_DESCRIPTOR;
    options.location = {cuda::ON_DEVICE, device};
    options.gpu_direct_rdma = has(driver, device, DeviceAttribute::GPU_DIRECT_RDMA_OF_MAPPINGS);
    size_t granule = 0;
    CuResult result = driver.call.map_granularity(&granule, &options, 0);
    if (result != CuResult::SUCCESS)
        return result;
    if (bytes > UINT64_MAX - granule)
        return CuResult::OUT_OF_MEMORY;
    CudaMapping made{0, (bytes + granule - 1) / granule * granule};
    cuda::Allocation physical = 0;
    result = driver.call.map_create(&physical, made.bytes, &options, 0);
    if (result != CuResult::SUCCESS)
        return result;
    result = map_physical(driver, device, physical, &made);
    (void)driver.call.map_release(physical); // a mapping holds it
    if (result == CuResult::SUCCESS)
        *out = made;
    return result;
}

void unmap_memory(const CudaDriver& driver, const CudaMapping& mapping) noexcept {
    wait_for_gpus(driver);
    (void)driver.call.unmap(mapping.address, mapping.bytes);
    (void)driver.call.map_release_range(mapping.address, mapping.bytes);
}

} // namespace nixl::core
