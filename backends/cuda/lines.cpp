// SPDX-License-Identifier: Apache-2.0
#include "lines.h"

#include <new>

namespace nixl::core::cuda {
namespace {

/// Of the best links there are, so that nobody sleeps too long; bytes per ns.
double best_rate(Way way) noexcept {
    constexpr double HOST = 60.0, WITHIN = 2'000.0, ACROSS = 450.0;
    return way == Way::WITHIN ? WITHIN : way == Way::ACROSS ? ACROSS : HOST;
}

} // namespace

CuResult Lines::open(Gpu& gpu, Way way, Line** out) noexcept {
    // allow(naked-new): owned at once.
    std::unique_ptr<Line> line(new (std::nothrow) Line(gpu, best_rate(way)));
    if (line == nullptr)
        return CuResult::OUT_OF_MEMORY;
    const CudaScope scope(gpu.driver, gpu.context);
    const CuResult result = scope.result == CuResult::SUCCESS ? line->open() : scope.result;
    gpu.note(result);
    if (result != CuResult::SUCCESS)
        return result;
    *out = opened_[count_++] = line.get();
    lines_[place(gpu, way)] = std::move(line);
    return result;
}

} // namespace nixl::core::cuda
