// SPDX-License-Identifier: Apache-2.0
// What the measurements on GPUs have in common.
#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

#include "hot.h"
#include "platform/cuda_driver.h"

namespace nixl_perf {

using nixl::core::CudaDriver;
using nixl::core::CudaScope;
using namespace nixl::core::cuda;

inline constexpr uint64_t KIB = 1024, MIB = 1024 * KIB;

inline void check(CuResult result, const char* what) {
    if (result == CuResult::SUCCESS)
        return;
    std::fprintf(stderr, "%s: CUresult %d\n", what, static_cast<int>(result));
    std::exit(1);
}

/// Where there is no GPU the program ends with 77: there is nothing to measure.
inline const CudaDriver& driver_or_exit() {
    const auto found = nixl::core::cuda_driver({});
    if (found.ok())
        return *found.value();
    std::fprintf(stderr, "%s\n", found.error().message.c_str());
    std::exit(77);
}

inline Context context_of(const CudaDriver& driver, int device) {
    Context context = nullptr;
    check(driver.call.context_retain(&context, device), "context");
    return context;
}

/// The first line of the output.
inline void print_machine(const CudaDriver& driver) {
    char name[100] = "";
    check(driver.call.device_name(name, sizeof name, 0), "name");
    std::printf("{\"gpu\": \"%s\", \"gpus\": %u, \"cuda\": %d}\n", name, driver.devices,
                driver.version);
}

template <typename Action> double time_us(Action action) {
    const auto start = std::chrono::steady_clock::now();
    action();
    const std::chrono::duration<double, std::micro> passed =
        std::chrono::steady_clock::now() - start;
    return passed.count();
}

inline double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<long>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

} // namespace nixl_perf
