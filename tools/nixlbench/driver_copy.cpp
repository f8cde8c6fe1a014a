// SPDX-License-Identifier: Apache-2.0
#include "nixlbench/driver_copy.h"

#include <type_traits>
#include <utility>

#include <dlfcn.h>

namespace nixl::tools {

namespace {

/// The driver that is loaded already: the simulated one, where it was asked for, or the machine's.
void* loaded_driver() {
    for (const char* name : {"libnixl-simcuda.so", "libcuda.so.1"})
        if (void* const library = ::dlopen(name, RTLD_LAZY | RTLD_NOLOAD); library != nullptr)
            return library;
    return nullptr;
}

constexpr unsigned STREAM_NON_BLOCKING = 1;

} // namespace

/// The driver's interface, as its documentation has it: 0 is success.
struct DriverCopy::Calls {
    int (*context_retain)(void** context, int device) = nullptr;
    int (*context_release)(int device) = nullptr;
    int (*context_push)(void* context) = nullptr;
    int (*context_pop)(void** context) = nullptr;
    int (*stream_create)(void** stream, unsigned flags, int priority) = nullptr;
    int (*stream_destroy)(void* stream) = nullptr;
    int (*stream_synchronize)(void* stream) = nullptr;
    int (*copy)(std::uint64_t target, std::uint64_t source, size_t bytes, void* stream) = nullptr;

    bool load(void* library) {
        bool all = library != nullptr;
        const auto find = [&](auto& function, const char* name) {
            void* const symbol = all ? ::dlsym(library, name) : nullptr;
            all = all && symbol != nullptr;
            function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(symbol);
        };
        find(context_retain, "cuDevicePrimaryCtxRetain");
        find(context_release, "cuDevicePrimaryCtxRelease_v2");
        find(context_push, "cuCtxPushCurrent_v2");
        find(context_pop, "cuCtxPopCurrent_v2");
        find(stream_create, "cuStreamCreateWithPriority");
        find(stream_destroy, "cuStreamDestroy_v2");
        find(stream_synchronize, "cuStreamSynchronize");
        find(copy, "cuMemcpyAsync");
        return all;
    }
};

DriverCopy::DriverCopy() : calls_(std::make_unique<Calls>()) {}

std::unique_ptr<DriverCopy> DriverCopy::open(int device) {
    // allow(naked-new): a private constructor; owned at once.
    std::unique_ptr<DriverCopy> copy(new DriverCopy);
    Calls& calls = *copy->calls_;
    if (!calls.load(loaded_driver()) || calls.context_retain(&copy->context_, device) != 0)
        return nullptr;
    copy->device_ = device;
    void* before = nullptr;
    if (calls.context_push(copy->context_) != 0)
        return nullptr;
    const bool has_stream = calls.stream_create(&copy->stream_, STREAM_NON_BLOCKING, 0) == 0;
    (void)calls.context_pop(&before);
    return has_stream ? std::move(copy) : nullptr;
}

DriverCopy::~DriverCopy() {
    if (stream_ != nullptr)
        (void)calls_->stream_destroy(stream_);
    if (context_ != nullptr)
        (void)calls_->context_release(device_);
}

bool DriverCopy::copy(std::uint64_t target, std::uint64_t source, std::uint64_t bytes) const {
    void* before = nullptr;
    if (calls_->context_push(context_) != 0)
        return false;
    const bool copied = calls_->copy(target, source, bytes, stream_) == 0 &&
                        calls_->stream_synchronize(stream_) == 0;
    (void)calls_->context_pop(&before);
    return copied;
}

} // namespace nixl::tools
