// SPDX-License-Identifier: Apache-2.0
#include "memory/device_memory.h"

#include "memory/region.h"

namespace nixl::core {
namespace {

using cuda::CuResult;
using cuda::PointerAttribute;

std::string gpu_text(int32_t device) { return "GPU " + std::to_string(device); }

/// What the driver says of an address.
struct Owner {
    uint32_t type = cuda::MEMORY_UNKNOWN;
    uint32_t is_managed = 0;
    int device = -1;
    cuda::Address begin = 0;
    size_t bytes = 0;

    [[nodiscard]] uint32_t kind() const noexcept {
        if (is_managed != 0)
            return NIXL_KIND_MANAGED;
        return type == cuda::MEMORY_DEVICE ? NIXL_KIND_DEVICE : NIXL_KIND_HOST;
    }
};

Result<Owner> owner_of(const CudaDriver& driver, uintptr_t address) {
    Owner owner;
    PointerAttribute which[] = {PointerAttribute::MEMORY_TYPE, PointerAttribute::IS_MANAGED,
                                PointerAttribute::DEVICE_ORDINAL, PointerAttribute::RANGE_START,
                                PointerAttribute::RANGE_BYTES};
    void* out[] = {&owner.type, &owner.is_managed, &owner.device, &owner.begin, &owner.bytes};
    const CuResult asked = driver.call.pointer_attributes(static_cast<unsigned>(std::size(which)),
                                                          which, out, address);
    if (asked != CuResult::SUCCESS)
        return driver.error(asked, "asking the driver whose memory this is");
    return owner;
}

/// On a stream of its own, since the default one waits for the program's. The GPU's context is
/// current.
CuResult clear_now(const CudaDriver& driver, cuda::Address address, uint64_t bytes) {
    cuda::Stream stream = nullptr;
    CuResult result = driver.call.stream_create(&stream, cuda::STREAM_NON_BLOCKING, 0);
    if (result != CuResult::SUCCESS)
        return result;
    result = driver.call.fill(address, 0, bytes, stream);
    if (result == CuResult::SUCCESS)
        result = driver.call.stream_synchronize(stream);
    (void)driver.call.stream_destroy(stream);
    return result;
}

/// The GPU's context is current.
Error out_of_memory(const CudaDriver& driver, uint64_t bytes, int32_t device) {
    size_t free_bytes = 0, total_bytes = 0;
    (void)driver.call.memory_info(&free_bytes, &total_bytes);
    Error error(Code::NO_MEMORY,
                gpu_text(device) + ": CUDA out of memory: asked for " + std::to_string(bytes) +
                    " bytes, " + std::to_string(free_bytes) + " of " + std::to_string(total_bytes) +
                    " are free",
                "free buffers, call gc(), or take buffers out of a MemoryPool");
    error.detail = static_cast<int32_t>(CuResult::OUT_OF_MEMORY);
    return error;
}

} // namespace

Result<CudaDevices*> DeviceMemory::devices() {
    const MutexLock lock(mutex_);
    if (devices_ == nullptr) {
        NIXL_ASSIGN_OR_RETURN(const CudaDriver* driver, cuda_driver(choice_));
        devices_ = std::make_unique<CudaDevices>(*driver);
    }
    return devices_.get();
}

Result<uintptr_t> DeviceMemory::allocate(uint64_t bytes, uint32_t kind, int32_t* device,
                                         bool cleared) {
    NIXL_ASSIGN_OR_RETURN(CudaDevices * devices, this->devices());
    *device = std::max(*device, 0);
    NIXL_ASSIGN_OR_RETURN(const cuda::Context context, devices->context(*device));
    const CudaDriver& driver = devices->driver();
    const CudaScope scope(driver, context);
    cuda::Address address = 0;
    CuResult result = scope.result;
    if (result == CuResult::SUCCESS)
        result = take(driver, bytes, kind, *device, &address);
    if (result == CuResult::OUT_OF_MEMORY)
        return out_of_memory(driver, bytes, *device);
    if (result == CuResult::SUCCESS) {
        if (cleared)
            result = clear_now(driver, address, bytes);
        if (result == CuResult::SUCCESS)
            return static_cast<uintptr_t>(address);
        give_back(driver, address);
    }
    return driver.error(result,
                        gpu_text(*device) + ": allocating " + std::to_string(bytes) + " bytes");
}

/// The GPU's context is current.
CuResult DeviceMemory::take(const CudaDriver& driver, uint64_t bytes, uint32_t kind, int32_t device,
                            cuda::Address* out) {
    if (kind == NIXL_KIND_MANAGED)
        return driver.call.managed_alloc(out, bytes, cuda::MANAGED_ATTACH_GLOBAL);
    CudaMapping made;
    CuResult result = CuResult::NOT_SUPPORTED;
    if (shareable_ && bytes >= MAPPING_GRANULE && can_map(driver, device))
        result = map_memory(driver, device, bytes, &made);
    if (result != CuResult::SUCCESS && result != CuResult::OUT_OF_MEMORY)
        return driver.call.memory_alloc(out, bytes); // containers may forbid the other
    if (result != CuResult::SUCCESS)
        return result;
    *out = made.address;
    try {
        const MutexLock lock(mutex_);
        mapped_.emplace(made.address, made);
    } catch (...) {
        unmap_memory(driver, made);
        throw;
    }
    return result;
}

/// The GPU's context is current.
void DeviceMemory::give_back(const CudaDriver& driver, cuda::Address address) noexcept {
    CudaMapping mapping;
    {
        const MutexLock lock(mutex_);
        if (const auto found = mapped_.find(address); found != mapped_.end()) {
            mapping = found->second;
            mapped_.erase(found);
        }
    }
    if (mapping.address == 0) {
        (void)driver.call.memory_free(address); // waits for the GPU
        return;
    }
    unmap_memory(driver, mapping);
}

void DeviceMemory::free(uintptr_t address, int32_t device) noexcept {
    const auto devices = this->devices();
    if (!devices.ok())
        return;
    const auto context = devices.value()->context(device);
    if (!context.ok())
        return;
    const CudaDriver& driver = devices.value()->driver();
    const CudaScope scope(driver, context.value());
    give_back(driver, address);
}

Result<void> DeviceMemory::clear(uintptr_t address, uint64_t bytes, int32_t device) {
    NIXL_ASSIGN_OR_RETURN(CudaDevices * devices, this->devices());
    NIXL_ASSIGN_OR_RETURN(const cuda::Context context, devices->context(device));
    const CudaScope scope(devices->driver(), context);
    const CuResult result = scope.result == CuResult::SUCCESS
                                ? clear_now(devices->driver(), address, bytes)
                                : scope.result;
    if (result == CuResult::SUCCESS)
        return {};
    return devices->driver().error(result, gpu_text(device) + ": clearing new memory");
}

Result<void> DeviceMemory::check(uintptr_t address, uint64_t bytes, uint32_t kind,
                                 int32_t* device) {
    NIXL_ASSIGN_OR_RETURN(CudaDevices * devices, this->devices());
    NIXL_ASSIGN_OR_RETURN(const Owner owner, owner_of(devices->driver(), address));
    if (owner.kind() != kind)
        return Error(Code::INVALID_ARGUMENT,
                     std::string("this address is ") + kind_name(owner.kind()) + " memory, not " +
                         kind_name(kind),
                     "give the kind that it is, or the address of a live GPU allocation");
    if (*device >= 0 && *device != owner.device)
        return Error(Code::INVALID_ARGUMENT, "the memory is on " + gpu_text(owner.device) +
                                                 ", not on " + gpu_text(*device));
    const uint64_t offset = address - owner.begin;
    if (offset > owner.bytes || bytes > owner.bytes - offset)
        return Error(Code::INVALID_ARGUMENT,
                     "the range of " + std::to_string(bytes) +
                         " bytes ends beyond its allocation, " + "which has " +
                         std::to_string(owner.bytes - std::min<uint64_t>(offset, owner.bytes)) +
                         " from there on");
    *device = owner.device;
    return {};
}

bool DeviceMemory::any() noexcept {
    const auto driver = cuda_driver(choice_);
    return driver.ok() && driver.value()->devices != 0;
}

bool DeviceMemory::hides(uintptr_t address) noexcept {
    const auto driver = cuda_driver(choice_); // loaded by the cuda backend's probe()
    if (!driver.ok() || address == 0)
        return false;
    const auto owner = owner_of(*driver.value(), address);
    return owner.ok() && owner.value().kind() == NIXL_KIND_DEVICE;
}

Result<MemoryFigures> DeviceMemory::figures(int32_t device) {
    NIXL_ASSIGN_OR_RETURN(CudaDevices * devices, this->devices());
    NIXL_ASSIGN_OR_RETURN(const cuda::Context context, devices->context(device));
    const CudaDriver& driver = devices->driver();
    const CudaScope scope(driver, context);
    size_t free_bytes = 0, total_bytes = 0;
    const CuResult asked = scope.result == CuResult::SUCCESS
                               ? driver.call.memory_info(&free_bytes, &total_bytes)
                               : scope.result;
    if (asked != CuResult::SUCCESS)
        return driver.error(asked, gpu_text(device) + ": asking for its memory");
    return MemoryFigures{total_bytes, free_bytes, false};
}

} // namespace nixl::core
