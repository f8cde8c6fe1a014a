// SPDX-License-Identifier: Apache-2.0
// Names and words of errors. These need no cuInit().
#include "call.h"

namespace nixl::simcuda {
namespace {

struct Words {
    CuResult error;
    const char *name, *text;
};

constexpr Words WORDS[] = {
    {CuResult::SUCCESS, "CUDA_SUCCESS", "no error"},
    {CuResult::INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {CuResult::OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {CuResult::NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {CuResult::NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {CuResult::INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {CuResult::INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {CuResult::INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {CuResult::NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU",
     "no kernel image is available for execution on the device"},
    {CuResult::ECC_UNCORRECTABLE, "CUDA_ERROR_ECC_UNCORRECTABLE",
     "uncorrectable ECC error encountered"},
    {CuResult::PEER_ACCESS_UNSUPPORTED, "CUDA_ERROR_PEER_ACCESS_UNSUPPORTED",
     "peer access is not supported between these two devices"},
    {CuResult::CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
     "operation not permitted when stream is capturing"},
    {CuResult::CAPTURE_INVALIDATED, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
     "operation failed due to a previous error during capture"},
    {CuResult::INVALID_PTX, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {CuResult::NVLINK_UNCORRECTABLE, "CUDA_ERROR_NVLINK_UNCORRECTABLE",
     "uncorrectable NVLink error detected during the execution"},
    {CuResult::UNSUPPORTED_PTX_VERSION, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
     "the provided PTX was compiled with an unsupported toolchain."},
    {CuResult::OPERATING_SYSTEM, "CUDA_ERROR_OPERATING_SYSTEM",
     "OS call failed or operation not supported on this OS"},
    {CuResult::INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {CuResult::NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {CuResult::NOT_READY, "CUDA_ERROR_NOT_READY", "device not ready"},
    {CuResult::ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS",
     "an illegal memory access was encountered"},
    {CuResult::LAUNCH_OUT_OF_RESOURCES, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES",
     "too many resources requested for launch"},
    {CuResult::LAUNCH_TIMEOUT, "CUDA_ERROR_LAUNCH_TIMEOUT",
     "the launch timed out and was terminated"},
    {CuResult::ASSERT, "CUDA_ERROR_ASSERT", "device-side assert triggered"},
    {CuResult::HARDWARE_STACK_ERROR, "CUDA_ERROR_HARDWARE_STACK_ERROR", "hardware stack error"},
    {CuResult::ILLEGAL_INSTRUCTION, "CUDA_ERROR_ILLEGAL_INSTRUCTION",
     "an illegal instruction was encountered"},
    {CuResult::MISALIGNED_ADDRESS, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
    {CuResult::INVALID_ADDRESS_SPACE, "CUDA_ERROR_INVALID_ADDRESS_SPACE",
     "operation not supported on global/shared address space"},
    {CuResult::INVALID_PC, "CUDA_ERROR_INVALID_PC", "invalid program counter"},
    {CuResult::PEER_ACCESS_ALREADY_ENABLED, "CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED",
     "peer access is already enabled"},
    {CuResult::PEER_ACCESS_NOT_ENABLED, "CUDA_ERROR_PEER_ACCESS_NOT_ENABLED",
     "peer access has not been enabled"},
    {CuResult::CONTEXT_IS_DESTROYED, "CUDA_ERROR_CONTEXT_IS_DESTROYED", "context is destroyed"},
    {CuResult::HOST_MEMORY_ALREADY_REGISTERED, "CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED",
     "part or all of the requested memory range is already mapped"},
    {CuResult::HOST_MEMORY_NOT_REGISTERED, "CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED",
     "pointer does not correspond to a registered memory region"},
    {CuResult::LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {CuResult::NOT_PERMITTED, "CUDA_ERROR_NOT_PERMITTED", "operation not permitted"},
    {CuResult::NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {CuResult::SYSTEM_DRIVER_MISMATCH, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
     "system has unsupported display driver / cuda driver combination"},
    {CuResult::UNKNOWN, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

CuResult find(CuResult error, const char** out, const char* Words::*part) {
    count_call();
    if (out == nullptr)
        return CuResult::INVALID_VALUE;
    *out = nullptr;
    for (const Words& words : WORDS)
        if (words.error == error)
            *out = words.*part;
    return *out != nullptr ? CuResult::SUCCESS : CuResult::INVALID_VALUE;
}

} // namespace

extern "C" {

CuResult cuGetErrorName(CuResult error, const char** out) { return find(error, out, &Words::name); }

CuResult cuGetErrorString(CuResult error, const char** out) {
    return find(error, out, &Words::text);
}

CuResult cuDriverGetVersion(int* out) {
    count_call();
    if (out == nullptr)
        return CuResult::INVALID_VALUE;
    *out = driver().version;
    return CuResult::SUCCESS;
}
}

} // namespace nixl::simcuda
