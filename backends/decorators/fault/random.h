// SPDX-License-Identifier: Apache-2.0
// Random decisions that a seed repeats exactly, on every machine and with every standard library.
#pragma once

#include <cstdint>

namespace nixl::core {

/// One step of a 64-bit mixing function: unlike inputs give unlike outputs.
[[nodiscard]] inline uint64_t mix(uint64_t value) noexcept {
    value += 0x9e3779b97f4a7c15u;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

/// A stream of decisions.
class Random {
  public:
    explicit Random(uint64_t seed) noexcept : state_(seed) {}

    [[nodiscard]] uint64_t next() noexcept { return mix(state_++); }

    /// True with this probability; 0 never, 1 always.
    [[nodiscard]] bool chance(double probability) noexcept {
        constexpr double SCALE = 1.0 / 9007199254740992.0; // 2^-53
        return static_cast<double>(next() >> 11) * SCALE < probability;
    }

    /// 0 .. limit - 1; limit at least 1. The bias towards small numbers is below limit / 2^64.
    [[nodiscard]] uint64_t below(uint64_t limit) noexcept { return next() % limit; }

  private:
    uint64_t state_;
};

} // namespace nixl::core
