// SPDX-License-Identifier: Apache-2.0
// Which bytes one iteration moves: elements of equal size and where they lie at both ends.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nixl/types.h>

namespace nixl::tools {

enum class Layout {
    CONTIGUOUS, ///< back to back
    STRIDED,    ///< every other place, at both ends
    RANDOM      ///< every place once, in an order of its own at each end
};

class Shape {
  public:
    Shape(std::uint64_t block_bytes, std::uint64_t count, Layout layout);

    [[nodiscard]] std::uint64_t block_bytes() const { return block_bytes_; }
    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] std::uint64_t bytes() const { return block_bytes_ * count_; }
    /// What the elements and the gaps between them take at each end.
    [[nodiscard]] std::uint64_t span_bytes() const {
        return stride() * (count_ - 1) + block_bytes_;
    }
    [[nodiscard]] bool is_one_piece() const { return count_ == 1; }
    [[nodiscard]] Layout layout() const { return layout_; }

    [[nodiscard]] std::uint64_t source_offset(std::uint64_t element) const {
        return (source_places_.empty() ? element : source_places_[element]) * stride();
    }
    [[nodiscard]] std::uint64_t target_offset(std::uint64_t element) const {
        return (target_places_.empty() ? element : target_places_[element]) * stride();
    }

    /// The descriptors of a prepared transfer.
    [[nodiscard]] std::vector<nixl_run> runs() const;

  private:
    [[nodiscard]] std::uint64_t stride() const {
        return layout_ == Layout::STRIDED ? 2 * block_bytes_ : block_bytes_;
    }

    std::uint64_t block_bytes_, count_;
    Layout layout_;
    std::vector<std::uint32_t> source_places_, target_places_; // empty: in order
};

/// Throws Failure (EXIT_USAGE) that lists the names.
[[nodiscard]] Layout parse_layout(const std::string& text);
[[nodiscard]] const char* layout_name(Layout layout);

} // namespace nixl::tools
