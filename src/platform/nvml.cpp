// SPDX-License-Identifier: Apache-2.0
#include "platform/nvml.h"

#include <array>

#include "platform/library.h"

namespace nixl::core {

namespace {

using Device = struct DeviceOfNvml*;

constexpr int SUCCESS = 0;
constexpr unsigned MOST_NVLINKS = 18; // NVML_NVLINK_MAX_LINKS

} // namespace

/// Its interface as NVIDIA documents it: nvmlReturn_t is an int, 0 is success.
struct Nvml::Calls {
    int (*init)() = nullptr;
    int (*shutdown)() = nullptr;
    const char* (*error_text)(int) = nullptr;
    int (*find)(const char* bus_id, Device* out) = nullptr;
    int (*pcie_generation)(Device, unsigned* out) = nullptr;
    int (*most_pcie_generation)(Device, unsigned* out) = nullptr;
    int (*pcie_width)(Device, unsigned* out) = nullptr;
    int (*most_pcie_width)(Device, unsigned* out) = nullptr;
    int (*nvlink_state)(Device, unsigned link, int* out) = nullptr;

    bool load_all(const Library& library) {
        return library.find("nvmlInit_v2", &init) && library.find("nvmlShutdown", &shutdown) &&
               library.find("nvmlErrorString", &error_text) &&
               library.find("nvmlDeviceGetHandleByPciBusId_v2", &find) &&
               library.find("nvmlDeviceGetCurrPcieLinkGeneration", &pcie_generation) &&
               library.find("nvmlDeviceGetMaxPcieLinkGeneration", &most_pcie_generation) &&
               library.find("nvmlDeviceGetCurrPcieLinkWidth", &pcie_width) &&
               library.find("nvmlDeviceGetMaxPcieLinkWidth", &most_pcie_width) &&
               library.find("nvmlDeviceGetNvLinkState", &nvlink_state);
    }
    [[nodiscard]] Error error(int code, std::string what) const {
        Error error(Code::UNSUPPORTED, std::move(what) + ": " + error_text(code));
        error.detail = code;
        return error;
    }
};

Nvml::Nvml() : calls_(std::make_unique<Calls>()) {}

Nvml::~Nvml() {
    if (calls_->shutdown != nullptr)
        (void)calls_->shutdown();
}

Result<std::unique_ptr<Nvml>> Nvml::open(const char* library) {
    const auto loaded = Library::open(library);
    if (!loaded.ok())
        return Error(Code::UNSUPPORTED, "NVML: " + loaded.error().message);
    // allow(naked-new): a private constructor; owned at once.
    std::unique_ptr<Nvml> nvml(new Nvml);
    Calls calls;
    if (!calls.load_all(loaded.value()))
        return Error(Code::UNSUPPORTED, std::string("NVML: ") + library + " lacks a function");
    if (const int code = calls.init(); code != SUCCESS)
        return calls.error(code, "NVML does not start");
    *nvml->calls_ = calls;
    return nvml;
}

Result<GpuLinks> Nvml::links_of(const std::string& bus_id) const {
    Device device = nullptr;
    const int code = calls_->find(bus_id.c_str(), &device);
    if (code != SUCCESS)
        return calls_->error(code, "NVML does not know the GPU at " + bus_id);
    GpuLinks links;
    const std::array asked{
        std::pair{calls_->pcie_generation, &links.pcie_generation},
        std::pair{calls_->most_pcie_generation, &links.most_pcie_generation},
        std::pair{calls_->pcie_width, &links.pcie_width},
        std::pair{calls_->most_pcie_width, &links.most_pcie_width},
    };
    for (const auto& [call, out] : asked) // a virtual GPU does not tell all of them: 0
        if (call(device, out) != SUCCESS)
            *out = 0;
    for (unsigned link = 0; link < MOST_NVLINKS; ++link) {
        int is_up = 0; // GPUs without NVLink answer with an error
        if (calls_->nvlink_state(device, link, &is_up) == SUCCESS && is_up != 0)
            ++links.nvlinks;
    }
    return links;
}

} // namespace nixl::core
