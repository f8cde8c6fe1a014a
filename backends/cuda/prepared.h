// SPDX-License-Identifier: Apache-2.0
// HOT
// Blocks of one side that requests pick by index, in the form that kernels walk.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <nixl/backend.h>

#include "base/status.h"
#include "kernels/walk.h"
#include "region.h"

namespace nixl::core::cuda {

/// Where one block lies.
struct Block {
    Address address;
    uint64_t bytes;
    const Region* region;
};

/// What prepare() made. Blocks in an arithmetic progression, the common case, keep nothing but its
/// numbers; others have their addresses here and on the GPU.
///
/// Threads: immutable.
class Prepared {
  public:
    /// `readers`: the GPUs whose kernels may walk it; without any it serves copy engines alone.
    /// A GPU that is full gets no copy, and is told the blocks with each post. Errors: the
    /// driver's.
    static Result<std::unique_ptr<Prepared>> make(std::span<const nixl_region> regions,
                                                  std::span<const nixl_block> blocks,
                                                  std::span<Gpu* const> readers);
    ~Prepared();
    Prepared(const Prepared&) = delete;
    Prepared& operator=(const Prepared&) = delete;

    [[nodiscard]] uint64_t count() const noexcept { return count_; }
    [[nodiscard]] Block block(uint64_t number) const noexcept {
        const uint64_t place = addresses_.empty()
                                   ? address_ + number * static_cast<uint64_t>(stride_)
                                   : addresses_[number];
        return {place, lengths_.empty() ? bytes_ : lengths_[number],
                regions_[owners_.empty() ? 0 : owners_[number]]};
    }
    /// Of each block where they are alike, else 0.
    [[nodiscard]] uint64_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] uint64_t average_bytes() const noexcept { return average_bytes_; }
    /// The bits that are set in any address.
    [[nodiscard]] uint64_t address_bits() const noexcept { return address_bits_; }
    [[nodiscard]] std::span<const Region* const> regions() const noexcept { return regions_; }

    /// For kernels of a GPU, where bytes() is not 0; false: it is none of the readers.
    [[nodiscard]] bool side_for(const Gpu& gpu, ListSide* out) const noexcept;

  private:
    Prepared() = default;
    void add_up(std::span<const nixl_block> blocks) noexcept;
    bool find_progression(std::span<const nixl_region> regions, std::span<const nixl_block> blocks);
    void list(std::span<const nixl_region> regions, std::span<const nixl_block> blocks);
    Result<void> put_on(Gpu& gpu);

    std::vector<const Region*> regions_;
    std::vector<uint64_t> addresses_; ///< empty: they are a progression
    std::vector<uint64_t> lengths_;   ///< empty: all are alike
    std::vector<uint32_t> owners_;    ///< numbers among regions_; empty: there is one
    uint64_t count_ = 0, bytes_ = 0, average_bytes_ = 0, address_bits_ = 0;
    Address address_ = 0;
    int64_t stride_ = 0;
    struct Copy {
        const Gpu* gpu;
        Address addresses;
    };
    std::vector<Copy> copies_; ///< of addresses_, each on its GPU
};

} // namespace nixl::core::cuda
