// SPDX-License-Identifier: Apache-2.0
// Primary contexts, which is current, and who may touch whose memory.
#include <utility>

#include "call.h"

namespace nixl::simcuda {
namespace {

CuResult make_context(Call& call, Gpu& gpu) {
    if (!gpu.heap)
        gpu.heap = Heap::create(gpu.total_bytes);
    if (!gpu.heap)
        return CuResult::OUT_OF_MEMORY;
    gpu.context = call.driver.contexts.add(call.driver.gpus[static_cast<size_t>(gpu.ordinal)]);
    return CuResult::SUCCESS;
}

/// Everything that was made in it goes with a context, when its work is done.
void end_context(Call& call, Gpu& gpu) {
    Driver& driver = call.driver;
    const Context ended = std::exchange(gpu.context, nullptr);
    driver.contexts.take(ended);
    gpu.peers = 0;
    const auto of_this = [&](const auto& object) { return &object.gpu == &gpu; };
    driver.streams.remove_if(of_this);
    driver.events.remove_if(of_this);
    driver.modules.remove_if(of_this);
    driver.functions.remove_if([&](const Symbol& symbol) { return of_this(*symbol.image); });
    gpu.default_queue = nullptr;
    const auto queues = gpu.queues;
    const auto work = ends_of(gpu);
    for (const auto& queue : queues)
        retire(*queue);
    wait_for(driver, call.lock, work);
    // By the context: it may have been made anew while the lock was given up.
    const auto made_here = [&](const Range& range) { return range.context == ended; };
    while (Range* const range = driver.memory.any_of(made_here))
        driver.memory.remove(*range, call.lock, driver.progress);
    driver.pins.revoke(driver.memory);
}

} // namespace

extern "C" {

CuResult cuDevicePrimaryCtxRetain(Context* out, Device device) {
    return in_driver([&](Call& call) {
        if (out == nullptr)
            return CuResult::INVALID_VALUE;
        Gpu* const gpu = call.driver.gpu(device);
        if (gpu == nullptr)
            return CuResult::INVALID_DEVICE;
        if (gpu->is_lost())
            return gpu->fault;
        if (gpu->context == nullptr)
            if (const CuResult failed = make_context(call, *gpu); failed != CuResult::SUCCESS)
                return failed;
        ++gpu->retained;
        *out = gpu->context;
        return CuResult::SUCCESS;
    });
}

CuResult cuDevicePrimaryCtxGetState(Device device, unsigned* flags, int* is_active) {
    return in_driver([&](Call& call) {
        const Gpu* const gpu = call.driver.gpu(device);
        if (gpu == nullptr)
            return CuResult::INVALID_DEVICE;
        if (flags == nullptr || is_active == nullptr)
            return CuResult::INVALID_VALUE;
        *flags = 0;
        *is_active = gpu->context != nullptr ? 1 : 0;
        return CuResult::SUCCESS;
    });
}

CuResult cuDevicePrimaryCtxRelease_v2(Device device) {
    return in_driver([&](Call& call) {
        Gpu* const gpu = call.driver.gpu(device);
        if (gpu == nullptr)
            return CuResult::INVALID_DEVICE;
        if (gpu->retained == 0)
            return CuResult::INVALID_CONTEXT;
        if (--gpu->retained == 0)
            end_context(call, *gpu);
        return CuResult::SUCCESS;
    });
}

CuResult cuCtxPushCurrent_v2(Context context) {
    return in_driver([&](Call& call) {
        if (!call.driver.contexts.find(context))
            return CuResult::INVALID_CONTEXT;
        context_stack().push_back(context);
        return CuResult::SUCCESS;
    });
}

CuResult cuCtxPopCurrent_v2(Context* out) {
    return in_driver([&](Call&) {
        if (context_stack().empty())
            return CuResult::INVALID_CONTEXT;
        if (out != nullptr)
            *out = context_stack().back();
        context_stack().pop_back();
        return CuResult::SUCCESS;
    });
}

CuResult cuCtxGetCurrent(Context* out) {
    return in_driver([&](Call&) {
        if (out == nullptr)
            return CuResult::INVALID_VALUE;
        *out = context_stack().empty() ? nullptr : context_stack().back();
        return CuResult::SUCCESS;
    });
}

CuResult cuCtxGetDevice(Device* out) {
    return in_context([&](Call& call) {
        if (out == nullptr)
            return CuResult::INVALID_VALUE;
        *out = call.gpu->ordinal;
        return CuResult::SUCCESS;
    });
}

CuResult cuCtxSynchronize() {
    return in_context([&](Call& call) {
        wait_for(call.driver, call.lock, ends_of(*call.gpu));
        return call.outcome();
    });
}

CuResult cuCtxGetStreamPriorityRange(int* least, int* greatest) {
    return in_context([&](Call&) {
        if (least != nullptr)
            *least = 0;
        if (greatest != nullptr)
            *greatest = -5;
        return CuResult::SUCCESS;
    });
}

CuResult cuCtxEnablePeerAccess(Context peer, unsigned flags) {
    return in_context([&](Call& call) {
        const auto other = call.driver.contexts.find(peer);
        if (flags != 0)
            return CuResult::INVALID_VALUE;
        if (!other || other.get() == call.gpu)
            return CuResult::INVALID_CONTEXT;
        if (!call.driver.have_ways)
            return CuResult::PEER_ACCESS_UNSUPPORTED;
        if ((call.gpu->peers & other->bit()) != 0)
            return CuResult::PEER_ACCESS_ALREADY_ENABLED;
        call.gpu->peers |= other->bit();
        return CuResult::SUCCESS;
    });
}
}

} // namespace nixl::simcuda
