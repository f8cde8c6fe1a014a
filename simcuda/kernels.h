// SPDX-License-Identifier: Apache-2.0
// Kernels as host code. PTX cannot run here, so a launch by name runs what is registered under the
// name; to add one, write a Kernel and name it in kernels.cpp.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "platform/cuda_calls.h"

namespace nixl::simcuda {

class Work;

struct Dimensions {
    unsigned x, y, z;
};

/// One launch as its kernel sees it. Threads: the stream's.
class Launch {
  public:
    Launch(Work& work, const std::vector<std::vector<std::byte>>& parameters,
           Dimensions blocks_of_grid, Dimensions threads_of_block, unsigned dynamic_bytes)
        : grid(blocks_of_grid), block(threads_of_block), shared_bytes(dynamic_bytes), work_(work),
          parameters_(parameters) {}

    /// As it was when the launch was called.
    template <typename Value> [[nodiscard]] Value parameter(size_t index) const {
        Value value;
        std::memcpy(&value, parameters_.at(index).data(), sizeof value);
        return value;
    }
    /// Where the bytes of device, managed or registered memory can be touched until the kernel
    /// ends. nullptr when the GPU may not touch them all: return then, the launch has failed with
    /// ILLEGAL_ADDRESS.
    [[nodiscard]] void* resolve(core::cuda::Address address, size_t bytes, bool writes) const;
    [[nodiscard]] bool touched_illegally() const { return illegal_; }

    const Dimensions grid, block;
    const unsigned shared_bytes;

  private:
    Work& work_;
    const std::vector<std::vector<std::byte>>& parameters_;
    mutable bool illegal_ = false;
};

struct Kernel {
    std::string_view name;
    std::span<const size_t> parameter_bytes;
    /// An error other than SUCCESS ends the context.
    core::cuda::CuResult (*run)(const Launch& launch);
};

/// nullptr where none is registered under the name.
const Kernel* find_kernel(std::string_view name);

/// Fills `count` 32-bit words at an address with a value: for tests. Parameters: Address, value,
/// count (uint32_t both).
extern const Kernel FILL_WORDS;

/// The kernels of backends/cuda/kernels. Parameter: CopyList.
extern const Kernel GATHER_BULK, GATHER_PLAIN;

} // namespace nixl::simcuda
