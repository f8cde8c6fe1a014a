// SPDX-License-Identifier: Apache-2.0
// What the GPUs are.
#include <cstdio>
#include <string>

#include "call.h"
#include "visible.h"

namespace nixl::simcuda {
namespace {

/// `body(Gpu&)` where `out` can be written and the device exists.
template <typename Out, typename Body> CuResult on_device(Out* out, Device device, Body body) {
    return in_driver([&](Call& call) {
        if (out == nullptr)
            return CuResult::INVALID_VALUE;
        Gpu* const gpu = call.driver.gpu(device);
        return gpu == nullptr ? CuResult::INVALID_DEVICE : body(*gpu);
    });
}

/// Cut short where there is no room, with the zero in any case.
CuResult put(char* out, int bytes, const std::string& text) {
    if (bytes <= 0)
        return CuResult::INVALID_VALUE;
    std::snprintf(out, static_cast<size_t>(bytes), "%s", text.c_str());
    return CuResult::SUCCESS;
}

/// -1: not an attribute that the simulation has. The figures are an H100's.
int attribute(const Gpu& gpu, DeviceAttribute which) {
    switch (which) {
    case DeviceAttribute::MULTIPROCESSOR_COUNT:
        return 132;
    case DeviceAttribute::ASYNC_ENGINE_COUNT:
        return 3;
    case DeviceAttribute::COMPUTE_CAPABILITY_MAJOR:
        return gpu.compute / 10;
    case DeviceAttribute::COMPUTE_CAPABILITY_MINOR:
        return gpu.compute % 10;
    case DeviceAttribute::SHARED_MEMORY_PER_BLOCK_OPT_IN:
        return 227 << 10;
    case DeviceAttribute::UNIFIED_ADDRESSING:
    case DeviceAttribute::MANAGED_MEMORY:
    case DeviceAttribute::HOST_POINTER_FOR_REGISTERED_MEMORY:
    case DeviceAttribute::HOST_REGISTER_SUPPORTED:
    case DeviceAttribute::VIRTUAL_MEMORY_MANAGEMENT:
    case DeviceAttribute::POSIX_DESCRIPTOR_HANDLES:
    case DeviceAttribute::GPU_DIRECT_RDMA_OF_MAPPINGS:
        return 1;
    }
    return -1;
}

} // namespace

extern "C" {

CuResult cuDeviceGetCount(int* out) {
    return in_driver([&](Call& call) {
        if (out == nullptr)
            return CuResult::INVALID_VALUE;
        *out = static_cast<int>(call.driver.gpus.size());
        return CuResult::SUCCESS;
    });
}

CuResult cuDeviceGet(Device* out, int ordinal) {
    return on_device(out, ordinal, [&](Gpu& gpu) {
        *out = gpu.ordinal;
        return CuResult::SUCCESS;
    });
}

CuResult cuDeviceGetName(char* out, int bytes, Device device) {
    return on_device(out, device, [&](Gpu& gpu) {
        return put(out, bytes, "Simulated GPU " + std::to_string(gpu.index));
    });
}

CuResult cuDeviceGetUuid(Uuid* out, Device device) {
    return on_device(out, device, [&](Gpu& gpu) {
        *out = uuid_of(gpu.index);
        return CuResult::SUCCESS;
    });
}

CuResult cuDeviceGetPCIBusId(char* out, int bytes, Device device) {
    return on_device(out, device, [&](Gpu& gpu) {
        char text[] = "0000:00:00.0";
        std::snprintf(text, sizeof text, "0000:%02X:00.0", static_cast<unsigned>(gpu.index) + 1);
        return put(out, bytes, text);
    });
}

CuResult cuDeviceTotalMem_v2(size_t* out, Device device) {
    return on_device(out, device, [&](Gpu& gpu) {
        *out = gpu.total_bytes;
        return CuResult::SUCCESS;
    });
}

CuResult cuDeviceGetAttribute(int* out, DeviceAttribute which, Device device) {
    return on_device(out, device, [&](const Gpu& gpu) {
        const int value = attribute(gpu, which);
        if (value < 0)
            return CuResult::INVALID_VALUE;
        *out = value;
        return CuResult::SUCCESS;
    });
}

CuResult cuDeviceCanAccessPeer(int* out, Device device, Device peer) {
    return in_driver([&](Call& call) {
        if (out == nullptr)
            return CuResult::INVALID_VALUE;
        if (call.driver.gpu(device) == nullptr || call.driver.gpu(peer) == nullptr)
            return CuResult::INVALID_DEVICE;
        *out = device != peer && call.driver.have_ways ? 1 : 0;
        return CuResult::SUCCESS;
    });
}
}

} // namespace nixl::simcuda
