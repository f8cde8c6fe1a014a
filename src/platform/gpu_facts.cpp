// SPDX-License-Identifier: Apache-2.0
#include "platform/gpu_facts.h"

namespace nixl::core {

namespace {

using cuda::CuResult;
using cuda::DeviceAttribute;

uint32_t attribute(const CudaDriver& driver, cuda::Device device, DeviceAttribute which) {
    int value = 0;
    return driver.call.device_attribute(&value, which, device) == CuResult::SUCCESS
               ? static_cast<uint32_t>(value)
               : 0;
}

void ask_driver(const CudaDriver& driver, GpuFacts* out) {
    cuda::Device device = 0;
    if (driver.call.device_get(&device, out->number) != CuResult::SUCCESS)
        return;
    char text[256] = "";
    if (driver.call.device_name(text, sizeof text, device) == CuResult::SUCCESS)
        out->name = text;
    if (driver.call.device_bus_id(text, sizeof text, device) == CuResult::SUCCESS)
        out->bus_id = text;
    out->compute_major = attribute(driver, device, DeviceAttribute::COMPUTE_CAPABILITY_MAJOR);
    out->compute_minor = attribute(driver, device, DeviceAttribute::COMPUTE_CAPABILITY_MINOR);
    out->multiprocessors = attribute(driver, device, DeviceAttribute::MULTIPROCESSOR_COUNT);
    size_t bytes = 0;
    if (driver.call.device_bytes(&bytes, device) == CuResult::SUCCESS)
        out->bytes = bytes;
    for (int other = 0; other < static_cast<int>(driver.devices); ++other) {
        cuda::Device peer = 0;
        int reaches = 0;
        if (other != out->number && driver.call.device_get(&peer, other) == CuResult::SUCCESS &&
            driver.call.device_can_access(&reaches, device, peer) == CuResult::SUCCESS &&
            reaches != 0)
            out->peers.push_back(other);
    }
}

void ask_nvml(const Result<std::unique_ptr<Nvml>>& nvml, GpuFacts* out) {
    if (!nvml.ok()) {
        out->why_no_links = nvml.error().message;
        return;
    }
    const auto links = nvml.value()->links_of(out->bus_id);
    if (links.ok())
        out->links = links.value();
    else
        out->why_no_links = links.error().message;
}

} // namespace

std::vector<GpuFacts> gpu_facts(const CudaDriver& driver) {
    // Of simulated ones it knows nothing, and may have a real one at the same place.
    const Result<std::unique_ptr<Nvml>> nvml =
        driver.simulated ? Error(Code::UNSUPPORTED, "simulated") : Nvml::open();
    std::vector<GpuFacts> all(driver.devices);
    for (size_t i = 0; i < all.size(); ++i) {
        all[i].number = static_cast<int>(i);
        ask_driver(driver, &all[i]);
        ask_nvml(nvml, &all[i]);
    }
    return all;
}

} // namespace nixl::core
