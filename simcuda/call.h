// SPDX-License-Identifier: Apache-2.0
// What every call of the driver checks first.
#pragma once

#include <mutex>

#include "driver.h"
#include "exports.h"

namespace nixl::simcuda {

/// A call that has passed the checks. Holds the driver's mutex.
struct Call {
    Driver& driver;
    std::unique_lock<std::mutex> lock;
    Gpu* gpu = nullptr; ///< of the current context; nullptr where the call needs none

    /// What a call returns when its own part is well: the fault that has come meanwhile.
    [[nodiscard]] CuResult outcome() const { return gpu->fault; }
};

/// Counts a call; admit() does.
void count_call();
/// SUCCESS if the driver may be called here: not in host functions, after cuInit().
CuResult admit();
/// SUCCESS, and the GPU of this thread's current context, if it has not faulted.
CuResult enter_context(Call& call);

/// What a call is refused with that would disturb a capture, which it ends. SUCCESS: nothing is
/// captured, or this thread has said that it does not matter.
CuResult forbidden_by_capture(Call& call);

/// This thread's current contexts, the last on top.
std::vector<Context>& context_stack();
/// Set while this thread runs a host function.
bool& runs_host_function();

/// `body(Call&)` where a call needs the driver alone.
template <typename Body> CuResult in_driver(Body body) {
    if (const CuResult refused = admit(); refused != CuResult::SUCCESS)
        return refused;
    Call call = {driver(), std::unique_lock(driver().mutex), nullptr};
    return body(call);
}

/// `body(Call&)` where a call needs a current context, which must not have faulted.
template <typename Body> CuResult in_context(Body body) {
    return in_driver([&](Call& call) {
        const CuResult refused = enter_context(call);
        return refused != CuResult::SUCCESS ? refused : body(call);
    });
}

/// The stream behind a handle; the default streams of the current context have the handles 0 and 1.
inline std::shared_ptr<Queue> queue_of(Call& call, Stream stream) {
    if (reinterpret_cast<uintptr_t>(stream) <= 1)
        return default_queue_of(*call.gpu).shared_from_this();
    return call.driver.streams.find(stream);
}

} // namespace nixl::simcuda
