// SPDX-License-Identifier: Apache-2.0
// Gigabytes of address space over 64 MiB of memory: the same memfd again and again, and windows of
// their own where a test looks closely.
#pragma once

#include <cstdint>

#include "tests/conformance/place.h"

namespace nixl::test {

inline constexpr uint64_t MIB = uint64_t{1} << 20, GIB = uint64_t{1} << 30;

/// Threads: one thread.
class AliasedMemory {
  public:
    static constexpr uint64_t SLOT_BYTES = 64 * MIB; ///< of the memfd
    static constexpr uint64_t WINDOW_BYTES = 2 * MIB;

    /// `slots` times the same memory, zeroed.
    explicit AliasedMemory(uint64_t slots);
    ~AliasedMemory();
    AliasedMemory(const AliasedMemory&) = delete;
    AliasedMemory& operator=(const AliasedMemory&) = delete;

    /// From here on WINDOW_BYTES around `offset` are memory of their own, zeroed.
    void open_window(uint64_t offset);

    [[nodiscard]] unsigned char* at(uint64_t offset) const { return base_ + offset; }
    [[nodiscard]] uint64_t bytes() const { return bytes_; }
    void write(uint64_t offset, const Bytes& content) const;
    [[nodiscard]] Bytes read(uint64_t offset, uint64_t bytes) const;
    /// The repeated memory itself, with what lies under windows as well.
    [[nodiscard]] unsigned char* slot() const { return slot_; }

  private:
    unsigned char* base_ = nullptr;
    unsigned char* slot_ = nullptr;
    const uint64_t bytes_;
};

} // namespace nixl::test
