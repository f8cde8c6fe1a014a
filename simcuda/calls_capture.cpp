// SPDX-License-Identifier: Apache-2.0
// Captures of streams into graphs: as much of them as tells what disturbs them. Graphs are empty.
#include <algorithm>

#include "call.h"

namespace nixl::simcuda {
namespace {

constexpr int GLOBAL = 0;

int& mode_of_thread() {
    thread_local int mode = GLOBAL;
    return mode;
}

auto capture_of(Call& call, const Queue& queue) {
    auto& all = call.driver.captures;
    return std::find_if(all.begin(), all.end(),
                        [&](const Capture& capture) { return capture.queue.get() == &queue; });
}

} // namespace

CuResult forbidden_by_capture(Call& call) {
    if (mode_of_thread() == CAPTURE_RELAXED || call.driver.captures.empty())
        return CuResult::SUCCESS;
    for (Capture& capture : call.driver.captures)
        capture.is_broken = true;
    return CuResult::CAPTURE_UNSUPPORTED;
}

extern "C" {

CuResult cuThreadExchangeStreamCaptureMode(int* mode) {
    if (mode == nullptr || *mode < GLOBAL || *mode > CAPTURE_RELAXED)
        return CuResult::INVALID_VALUE;
    std::swap(*mode, mode_of_thread());
    return CuResult::SUCCESS;
}

CuResult cuStreamIsCapturing(Stream stream, int* out) {
    return in_context([&](Call& call) {
        const auto queue = queue_of(call, stream);
        if (!queue || out == nullptr)
            return queue ? CuResult::INVALID_VALUE : CuResult::INVALID_HANDLE;
        *out = capture_of(call, *queue) != call.driver.captures.end() ? 1 : 0;
        return CuResult::SUCCESS;
    });
}

/// Only as strict as can be.
CuResult cuStreamBeginCapture_v2(Stream stream, int mode) {
    return in_context([&](Call& call) {
        auto queue = queue_of(call, stream);
        if (!queue || stream == nullptr || mode != GLOBAL)
            return CuResult::INVALID_VALUE;
        call.driver.captures.push_back({std::move(queue)});
        return CuResult::SUCCESS;
    });
}

CuResult cuStreamEndCapture(Stream stream, void** graph) {
    return in_context([&](Call& call) {
        const auto queue = queue_of(call, stream);
        const auto found = queue ? capture_of(call, *queue) : call.driver.captures.end();
        if (graph == nullptr || found == call.driver.captures.end())
            return CuResult::INVALID_VALUE;
        const bool is_broken = found->is_broken;
        call.driver.captures.erase(found);
        *graph = nullptr;
        return is_broken ? CuResult::CAPTURE_INVALIDATED : CuResult::SUCCESS;
    });
}
}

} // namespace nixl::simcuda
