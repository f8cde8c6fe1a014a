// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>

#include "kernels.h"

namespace nixl::simcuda {
namespace {

using core::cuda::Address;
using core::cuda::CuResult;

constexpr size_t PARAMETER_BYTES[] = {sizeof(Address), sizeof(uint32_t), sizeof(uint32_t)};

CuResult fill_words(const Launch& launch) {
    const auto address = launch.parameter<Address>(0);
    const auto value = launch.parameter<uint32_t>(1), count = launch.parameter<uint32_t>(2);
    void* const words = launch.resolve(address, count * sizeof value, true);
    if (words != nullptr)
        std::fill_n(static_cast<uint32_t*>(words), count, value);
    return CuResult::SUCCESS;
}

} // namespace

const Kernel FILL_WORDS = {"nixl_sim_fill_words", PARAMETER_BYTES, fill_words};

} // namespace nixl::simcuda
