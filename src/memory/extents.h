// SPDX-License-Identifier: Apache-2.0
// Cuts a range of bytes into extents and joins them again, without touching the range: it may be
// memory that the CPU cannot reach.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <vector>

namespace nixl::core {

/// Best fit, the lowest address among equals; what is given back is joined with free neighbours at
/// once. Why not a fit by size class in constant time: docs/decisions/0013-best-fit-pools.md.
///
/// Threads: one.
class Extents {
  public:
    static constexpr uint64_t UNIT_BYTES = 256; ///< addresses and sizes are multiples of it

    struct Extent {
        uint32_t number = 0; ///< for give()
        uint64_t address = 0;
        uint64_t bytes = 0; ///< at least what was asked for
    };

    /// `address`: of the range; a multiple of the unit. A rest of `bytes` below a unit is not used.
    Extents(uint64_t address, uint64_t bytes);

    /// nullopt: no free extent is long enough. `bytes`: at least 1. `alignment` of the address:
    /// a power of two. Logarithmic time; with an alignment above the unit, also linear in the free
    /// extents that are long enough only if they happen to begin well.
    /// Throws std::bad_alloc, and nothing has changed.
    [[nodiscard]] std::optional<Extent> take(uint64_t bytes, uint64_t alignment);
    void give(uint32_t number) noexcept;

    [[nodiscard]] uint64_t bytes() const noexcept { return units_ * UNIT_BYTES; }
    [[nodiscard]] uint64_t used_bytes() const noexcept { return used_units_ * UNIT_BYTES; }
    [[nodiscard]] uint64_t largest_free_bytes() const noexcept {
        return free_.empty() ? 0 : free_.rbegin()->units * UNIT_BYTES;
    }

  private:
    static constexpr uint32_t NONE = UINT32_MAX;

    /// A free or used extent. Neighbours are those in the range.
    struct Note {
        uint64_t begin = 0, units = 0;
        uint32_t left = NONE, right = NONE; ///< `right` also chains notes that are not in use
        bool is_free = false;
    };
    struct Free {
        uint64_t units, begin;
        uint32_t number;
        bool operator<(const Free& other) const noexcept {
            return units != other.units ? units < other.units : begin < other.begin;
        }
    };
    using Node = std::set<Free>::node_type;

    /// Takes it out of the free ones.
    Node unlink(uint32_t number) noexcept;
    void link(uint32_t number, Node node) noexcept;
    /// Cuts an extent in two; the number of the right part.
    uint32_t cut(uint32_t number, uint64_t units) noexcept;
    /// Makes `right`, the neighbour of `left`, a part of it.
    void join(uint32_t left, uint32_t right) noexcept;
    /// For one take() and the give() of it, so that neither stops half way for want of memory.
    void make_room();

    const uint64_t units_;
    uint64_t used_units_ = 0;
    std::vector<Note> notes_;
    uint32_t used_ = 0;
    uint32_t unused_ = NONE; ///< the first note that is not in use
    std::set<Free> free_;
    std::vector<Node> spare_; ///< at least one for each used extent
};

} // namespace nixl::core
