// SPDX-License-Identifier: Apache-2.0
// HOT
// The elements of a batch one by one, whatever it is made of.
#pragma once

#include <cstdint>

#include <nixl/sdk/op_cursor.hpp>

#include "prepared.h"

namespace nixl::core::cuda {

/// One element, or several that lie one behind the other on both sides.
struct Piece {
    const Region* source_region;
    const Region* target_region;
    Address source;
    Address target;
    uint64_t bytes;

    [[nodiscard]] bool is_followed_by(const Piece& next) const noexcept {
        return next.source == source + bytes && next.target == target + bytes &&
               next.source_region == source_region && next.target_region == target_region;
    }
};

inline Piece piece_of(const Block& from, const Block& to) noexcept {
    return {from.region, to.region, from.address, to.address, from.bytes};
}

inline Piece piece_of(const nixl_region_pair& pair, uint64_t source_offset, uint64_t target_offset,
                      uint64_t bytes) noexcept {
    return {static_cast<const Region*>(pair.source.registration),
            static_cast<const Region*>(pair.target.registration),
            reinterpret_cast<uintptr_t>(pair.source.base) + source_offset,
            reinterpret_cast<uintptr_t>(pair.target.base) + target_offset, bytes};
}

/// Longer elements are listed in no table, and are worth a copy engine among many short ones.
inline constexpr uint64_t LONG_ELEMENT = uint64_t{4} << 20;

/// The bits of both strides, for looking at alignments; none where there is one element.
inline uint64_t strides_of(const nixl_run& run) noexcept {
    return run.count == 1 ? 0 : static_cast<uint64_t>(run.source_stride | run.target_stride);
}

/// A GPU at one end: the source's if it has one, or with `at_target` the target's if it has one.
/// nullptr: there is none at either end.
inline Gpu* gpu_of(const Piece& piece, bool at_target) noexcept {
    if (piece.source_region == nullptr || piece.target_region == nullptr)
        return nullptr;
    Gpu *const source = piece.source_region->gpu, *const target = piece.target_region->gpu;
    return source == nullptr || (at_target && target != nullptr) ? target : source;
}

/// Walks over a batch of runs, or of two prepared lists. The batch's arrays have to stay.
class Elements {
  public:
    explicit Elements(const nixl_batch& batch) noexcept
        : source_(static_cast<const Prepared*>(batch.prepared_source)),
          target_(static_cast<const Prepared*>(batch.prepared_target)),
          source_indices_(batch.source_indices), target_indices_(batch.target_indices),
          element_(batch.first_element), end_(batch.first_element + batch.element_count) {
        if (!of_lists())
            runs_ = sdk::OpCursor(batch);
    }

    [[nodiscard]] bool done() const noexcept { return element_ == end_; }
    /// Its number in the batch.
    [[nodiscard]] uint64_t element() const noexcept { return element_; }
    [[nodiscard]] uint64_t left() const noexcept { return end_ - element_; }

    [[nodiscard]] Piece here() const noexcept {
        if (of_lists())
            return piece_of(
                source_->block(source_indices_ == nullptr ? element_ : source_indices_[element_]),
                target_->block(target_indices_ == nullptr ? element_ : target_indices_[element_]));
        return piece_of(runs_.pair(), runs_.source_offset(), runs_.target_offset(), runs_.bytes());
    }
    void next() noexcept {
        ++element_;
        if (!of_lists())
            runs_.next();
    }
    void skip(uint64_t count) noexcept {
        element_ += count;
        if (!of_lists())
            runs_.skip(count);
    }

    void skip_single_runs(uint64_t count) noexcept {
        element_ += count;
        runs_.skip_single_runs(count);
    }

    [[nodiscard]] bool of_lists() const noexcept { return source_ != nullptr; }

    // Of lists alone: both, and what is left of the indices; nullptr: block k to block k.
    [[nodiscard]] const Prepared& source_list() const noexcept { return *source_; }
    [[nodiscard]] const Prepared& target_list() const noexcept { return *target_; }
    [[nodiscard]] const uint32_t* source_indices() const noexcept {
        return source_indices_ == nullptr ? nullptr : source_indices_ + element_;
    }
    [[nodiscard]] const uint32_t* target_indices() const noexcept {
        return target_indices_ == nullptr ? nullptr : target_indices_ + element_;
    }

    /// Of runs alone: the one that holds this element.
    [[nodiscard]] const nixl_run& run() const noexcept { return runs_.run(); }
    /// How many are left of that run; of lists, of all.
    [[nodiscard]] uint64_t left_in_run() const noexcept {
        return of_lists() ? left() : runs_.left_in_run();
    }

  private:
    const Prepared* source_;
    const Prepared* target_;
    const uint32_t* source_indices_;
    const uint32_t* target_indices_;
    uint64_t element_, end_;
    sdk::OpCursor runs_;
};

} // namespace nixl::core::cuda
