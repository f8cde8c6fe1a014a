// SPDX-License-Identifier: Apache-2.0
// Walks the elements of a batch one at a time, for backends that issue one operation per element.
// C++17.
#pragma once

#include <cstdint>

#include <nixl/backend.h>

namespace nixl::sdk {

/// for (OpCursor cursor(batch); !cursor.done(); cursor.next()) start(cursor.source(), ...);
///
/// A step is two additions and a comparison; only the start and skip() multiply. The batch itself
/// may go away after construction; its `pairs` and `runs` must stay, as the ABI promises for
/// accepted elements. For batches of runs, not of prepared lists.
class OpCursor {
  public:
    OpCursor() noexcept = default;

    explicit OpCursor(const nixl_batch& batch) noexcept : OpCursor(batch, batch.element_count) {}

    /// Only the first `element_count` elements of the batch.
    OpCursor(const nixl_batch& batch, uint64_t element_count) noexcept
        : pairs_(batch.pairs), run_(batch.runs + batch.first_run), element_(batch.first_element),
          end_(batch.first_element + element_count) {
        if (!done())
            enter_run(batch.first_in_run);
    }

    [[nodiscard]] bool done() const noexcept { return element_ == end_; }
    [[nodiscard]] uint64_t elements_left() const noexcept { return end_ - element_; }

    /// Its number in the batch: what a completion calls first_element.
    [[nodiscard]] uint64_t element() const noexcept { return element_; }
    [[nodiscard]] uint64_t bytes() const noexcept { return run_->bytes; }
    [[nodiscard]] uint64_t source_offset() const noexcept { return source_offset_; }
    [[nodiscard]] uint64_t target_offset() const noexcept { return target_offset_; }
    [[nodiscard]] const nixl_region_pair& pair() const noexcept { return pairs_[run_->pair]; }

    [[nodiscard]] const nixl_region_pair* pairs() const noexcept { return pairs_; }

    /// Addresses, for regions that have one.
    [[nodiscard]] const unsigned char* source() const noexcept {
        return static_cast<const unsigned char*>(pair().source.base) + source_offset_;
    }
    [[nodiscard]] unsigned char* target() const noexcept {
        return static_cast<unsigned char*>(pair().target.base) + target_offset_;
    }

    /// The run that holds this element, and how many of its elements are left, this one included.
    [[nodiscard]] const nixl_run& run() const noexcept { return *run_; }
    [[nodiscard]] uint64_t left_in_run() const noexcept {
        return left_in_run_ < elements_left() ? left_in_run_ : elements_left();
    }

    void next() noexcept {
        ++element_;
        if (--left_in_run_ != 0) {
            // Unsigned: a negative stride wraps round to the right offset.
            source_offset_ += static_cast<uint64_t>(run_->source_stride);
            target_offset_ += static_cast<uint64_t>(run_->target_stride);
            return;
        }
        if (done())
            return; // the run behind the last element may not exist
        ++run_;
        left_in_run_ = run_->count;
        source_offset_ = run_->source_offset;
        target_offset_ = run_->target_offset;
    }

    /// The same as calling next() `count` times; count <= elements_left().
    void skip(uint64_t count) noexcept {
        while (count != 0) {
            if (count < left_in_run_) {
                element_ += count;
                left_in_run_ -= count;
                source_offset_ += count * static_cast<uint64_t>(run_->source_stride);
                target_offset_ += count * static_cast<uint64_t>(run_->target_stride);
                return;
            }
            const uint64_t rest = left_in_run_;
            count -= rest;
            element_ += rest - 1;
            left_in_run_ = 1;
            next();
        }
    }

    /// The same as skip(count), with a count of at least 1, where this run and the next count - 1
    /// hold one element each.
    void skip_single_runs(uint64_t count) noexcept {
        run_ += count - 1;
        element_ += count - 1;
        left_in_run_ = 1;
        next();
    }

    /// Where it stands, in the terms of nixl_batch; not when done(). `runs` are the batch's.
    void store_position(nixl_batch* out, const nixl_run* runs) const noexcept {
        out->first_element = element_;
        out->first_run = static_cast<uint64_t>(run_ - runs);
        out->first_in_run = run_->count - left_in_run_;
    }

  private:
    void enter_run(uint64_t first_in_run) noexcept {
        left_in_run_ = run_->count - first_in_run;
        source_offset_ =
            run_->source_offset + first_in_run * static_cast<uint64_t>(run_->source_stride);
        target_offset_ =
            run_->target_offset + first_in_run * static_cast<uint64_t>(run_->target_stride);
    }

    const nixl_region_pair* pairs_ = nullptr;
    const nixl_run* run_ = nullptr;
    uint64_t element_ = 0;
    uint64_t end_ = 0;
    uint64_t left_in_run_ = 0;
    uint64_t source_offset_ = 0;
    uint64_t target_offset_ = 0;
};

} // namespace nixl::sdk
