// SPDX-License-Identifier: Apache-2.0
// Pages of GPU memory that the processor may be let into, and its mappings of them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "pages.h"
#include "platform/cuda_calls.h"

namespace nixl::simcuda {

class Memory;

/// Guarded by the driver's mutex.
struct Pin {
    static constexpr size_t PAGE_BYTES = 64 * 1024;

    core::cuda::Address start = 0;
    size_t bytes = 0;
    bool is_revoked =
        false;  ///< nothing is left of the memory: touching the mapping ends the process
    Pages view; ///< the mapping; empty: there is none
};

/// Guarded by the driver's mutex.
class Pins {
  public:
    unsigned long add(core::cuda::Address start, size_t bytes);
    /// nullptr: there is no such pin.
    [[nodiscard]] Pin* find(unsigned long number);
    /// That holds the address in its mapping; nullptr: none does.
    [[nodiscard]] const Pin* mapped_at(const std::byte* address) const;
    void remove(unsigned long number) { pins_.erase(number); }
    /// After memory went: takes the mappings away in which none is left.
    void revoke(Memory& memory);

  private:
    std::map<unsigned long, Pin> pins_;
    unsigned long last_ = 0;
};

} // namespace nixl::simcuda
