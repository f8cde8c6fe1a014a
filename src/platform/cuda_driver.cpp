// SPDX-License-Identifier: Apache-2.0
#include "platform/cuda_driver.h"

#include <cstdlib>
#include <filesystem>
#include <memory>

#include <unistd.h>

#include "base/annotations.h"
#include "platform/library.h"

namespace nixl::core {
namespace {

using cuda::CuResult;

constexpr const char* DRIVER = "libcuda.so.1";
constexpr const char* OLDEST = "NVIDIA driver 470 (CUDA 11.4)";

Error no_library(bool simulated, const std::string& why) {
    if (simulated)
        return Error(Code::UNSUPPORTED, "the simulated GPU driver cannot be loaded: " + why,
                     "install libnixl-simcuda.so beside libnixl, or unset NIXL_SIM_GPUS");
    std::error_code unknown;
    if (std::filesystem::exists("/proc/driver/nvidia", unknown))
        return Error(Code::UNSUPPORTED,
                     "the NVIDIA kernel driver is loaded, but its library is not here: " + why,
                     "in a container, start it with NVIDIA_DRIVER_CAPABILITIES=compute,utility");
    return Error(Code::UNSUPPORTED, "there is no NVIDIA driver: " + why,
                 std::string("install ") + OLDEST + " or later");
}

Result<void> find_calls(const Library& library, cuda::Calls* out) {
#define NIXL_FIND(member, symbol, parameters)                                                      \
    if (!library.find(#symbol, &out->member))                                                      \
        return Error(Code::UNSUPPORTED, "the driver has no " #symbol,                              \
                     std::string("update to ") + OLDEST + " or later");
    NIXL_CUDA_CALLS(NIXL_FIND)
#undef NIXL_FIND
#define NIXL_FIND(member, symbol, parameters) (void)library.find(#symbol, &out->member);
    NIXL_CUDA_LATER_CALLS(NIXL_FIND)
#undef NIXL_FIND
    return {};
}

/// Tells the simulated driver how many GPUs to offer, before it is initialised.
void set_simulated_devices(const Library& library, uint32_t count) {
    void (*set)(int) = nullptr;
    if (library.find("nixl_simcuda_set_devices", &set))
        set(static_cast<int>(count));
}

Result<std::unique_ptr<CudaDriver>> load(uint32_t simulated) {
    const auto library = Library::open(simulated != 0 ? simulated_driver_path() : DRIVER);
    if (!library.ok())
        return no_library(simulated != 0, library.error().message);
    auto driver = std::make_unique<CudaDriver>();
    driver->simulated = simulated != 0;
    NIXL_RETURN_IF_ERROR(find_calls(library.value(), &driver->call));
    if (simulated != 0)
        set_simulated_devices(library.value(), simulated);
    int count = 0;
    CuResult result = driver->call.init(0);
    if (result == CuResult::SUCCESS)
        result = driver->call.device_count(&count);
    if (result == CuResult::SUCCESS && count <= 0)
        result = CuResult::NO_DEVICE;
    if (result != CuResult::SUCCESS) {
        const bool may_hide = result == CuResult::NO_DEVICE;
        return why_no_gpu("", may_hide ? std::getenv("CUDA_VISIBLE_DEVICES") : nullptr,
                          driver->text_of(result));
    }
    driver->devices = static_cast<uint32_t>(count);
    (void)driver->call.driver_version(&driver->version);
    return driver;
}

/// What the first call found.
class Loaded {
  public:
    Result<const CudaDriver*> get(uint32_t simulated) EXCLUDES(mutex_) {
        const MutexLock lock(mutex_);
        if (!result_) {
            result_ = load(simulated);
            asked_ = simulated;
            loader_ = ::getpid();
        }
        if (!result_->ok())
            return result_->error();
        if (asked_ != simulated)
            return Error(Code::INVALID_ARGUMENT,
                         "sim_gpus: this process has " + std::to_string(asked_) +
                             " simulated GPUs already, and cannot have " +
                             std::to_string(simulated),
                         "ask for the same number in every context");
        if (loader_ != ::getpid())
            return Error(Code::UNSUPPORTED,
                         "this process was forked from one that had opened the GPU driver, which "
                         "cannot be used here",
                         "start workers with the spawn method, or fork before the first use of "
                         "GPUs");
        return result_->value().get();
    }
    bool is_inherited() EXCLUDES(mutex_) {
        const MutexLock lock(mutex_);
        return result_ && result_->ok() && loader_ != ::getpid();
    }

  private:
    Mutex mutex_;
    std::optional<Result<std::unique_ptr<CudaDriver>>> result_ GUARDED_BY(mutex_);
    uint32_t asked_ GUARDED_BY(mutex_) = 0;
    pid_t loader_ GUARDED_BY(mutex_) = 0;
};

Loaded& loaded(GpuChoice choice) noexcept {
    // Never destroyed: threads may still be inside the driver when the process ends.
    // allow(naked-new): as said.
    static Loaded& machine = *new Loaded;
    static Loaded& simulation = *new Loaded; // allow(naked-new): the same
    return choice.simulated != 0 ? simulation : machine;
}

} // namespace

std::string CudaDriver::text_of(CuResult result) const {
    const char *name = nullptr, *text = nullptr;
    (void)call.error_name(result, &name);
    (void)call.error_text(result, &text);
    return std::string(text != nullptr ? text : "unknown error") + " (" +
           (name != nullptr ? name : std::to_string(static_cast<int>(result))) + ")";
}

Error CudaDriver::error(CuResult result, std::string what) const {
    Error error(code_from_cuda(result), std::move(what) + ": " + text_of(result));
    error.detail = static_cast<int32_t>(result);
    if (is_device_lost(result)) {
        error.scope = Scope::BACKEND;
        error.hint = "the GPU cannot be used by this process any more; start it anew";
    }
    return error;
}

Code code_from_cuda(CuResult result) noexcept {
    switch (result) {
    case CuResult::SUCCESS:
        return Code::OK;
    case CuResult::NOT_READY:
        return Code::IN_PROGRESS;
    case CuResult::OUT_OF_MEMORY:
        return Code::NO_MEMORY;
    case CuResult::NOT_PERMITTED:
        return Code::PERMISSION_DENIED;
    case CuResult::INVALID_DEVICE:
    case CuResult::NOT_FOUND:
        return Code::NOT_FOUND;
    case CuResult::INVALID_VALUE:
    case CuResult::INVALID_HANDLE:
        return Code::INVALID_ARGUMENT;
    case CuResult::NO_DEVICE:
    case CuResult::NOT_SUPPORTED:
    case CuResult::PEER_ACCESS_UNSUPPORTED:
    case CuResult::NO_BINARY_FOR_GPU:
    case CuResult::INVALID_PTX:
    case CuResult::UNSUPPORTED_PTX_VERSION:
    case CuResult::SYSTEM_DRIVER_MISMATCH:
        return Code::UNSUPPORTED;
    default:
        return is_of_capture(result) ? Code::UNSUPPORTED : Code::IO_ERROR;
    }
}

bool is_device_lost(CuResult result) noexcept {
    switch (result) {
    case CuResult::ECC_UNCORRECTABLE:
    case CuResult::NVLINK_UNCORRECTABLE:
    case CuResult::ILLEGAL_ADDRESS:
    case CuResult::LAUNCH_TIMEOUT:
    case CuResult::CONTEXT_IS_DESTROYED:
    case CuResult::ASSERT:
    case CuResult::HARDWARE_STACK_ERROR:
    case CuResult::ILLEGAL_INSTRUCTION:
    case CuResult::MISALIGNED_ADDRESS:
    case CuResult::INVALID_ADDRESS_SPACE:
    case CuResult::INVALID_PC:
    case CuResult::LAUNCH_FAILED:
        return true;
    default:
        return false;
    }
}

Error why_no_gpu(const std::string& root, const char* visible, const std::string& driver_says) {
    std::error_code unknown;
    for (const auto& entry : std::filesystem::directory_iterator(root + "/dev", unknown)) {
        const std::string path = entry.path(), name = entry.path().filename();
        if (name.rfind("nvidia", 0) == 0 && !entry.is_directory(unknown) &&
            ::access(path.c_str(), R_OK | W_OK) != 0)
            return Error(Code::PERMISSION_DENIED, "Permission denied on " + path,
                         "let an administrator run: usermod -a -G video,render USER, and log in "
                         "again");
    }
    if (visible != nullptr)
        return Error(Code::UNSUPPORTED,
                     std::string("CUDA_VISIBLE_DEVICES=") + visible +
                         " hides every GPU: " + driver_says,
                     "unset it, or name the GPUs to use");
    return Error(Code::UNSUPPORTED, "the driver offers no GPU: " + driver_says);
}

Result<const CudaDriver*> cuda_driver(GpuChoice choice) {
    if (!choice.enabled)
        return Error(Code::UNSUPPORTED, "GPUs are switched off by enable_gpu=false");
    return loaded(choice).get(choice.simulated);
}

bool is_cuda_driver_inherited(GpuChoice choice) noexcept { return loaded(choice).is_inherited(); }

} // namespace nixl::core
