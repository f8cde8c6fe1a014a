// SPDX-License-Identifier: Apache-2.0
// Knows which bytes must arrive. Every word of the source depends on iteration, element and offset,
// and the target holds something else before the transfer, so that bytes that are missing, stale or
// in the wrong place show.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nixlbench/end.h"
#include "nixlbench/shape.h"

namespace nixl::tools {

enum class VerifyMode {
    SAMPLED, ///< some places of each iteration, and all bytes before and after the timed ones
    FULL,    ///< all bytes of each iteration
    OFF
};

struct Mismatch {
    std::uint64_t iteration, element, offset; ///< offset within the element
    unsigned expected, got;                   ///< the first byte that differs
    [[nodiscard]] std::string text() const;
};

class Verifier {
  public:
    enum class Extent { SAMPLES, WHOLE };

    Verifier(const Shape& shape, const End& source, const End& target, VerifyMode mode);

    [[nodiscard]] bool is_on() const { return mode_ != VerifyMode::OFF; }
    [[nodiscard]] Extent usual_extent() const {
        return mode_ == VerifyMode::FULL ? Extent::WHOLE : Extent::SAMPLES;
    }

    /// Puts what `iteration` sends into the source and something else into the target.
    void prepare(std::uint64_t iteration, Extent extent);
    /// The first difference, after `iteration` has arrived.
    [[nodiscard]] std::optional<Mismatch> check(std::uint64_t iteration, Extent extent);

  private:
    struct Place {
        std::uint64_t element, offset, bytes;
    };
    void choose_samples(std::uint64_t iteration);
    template <typename Visit> void for_each_piece(Extent extent, Visit visit);
    void write_source(std::uint64_t iteration, const Place& place);
    void poison_target(const Place& place);
    void expect(std::uint64_t iteration, const Place& place, char* out);
    std::optional<Mismatch> compare(std::uint64_t iteration, const Place& place);
    [[nodiscard]] char* memory_of(const End& end) const;
    /// Where nothing is verified no copy is made of what is on a GPU.
    [[nodiscard]] bool is_touched(const End& end) const {
        return is_on() || end.wish().kind != EndKind::GPU;
    }
    /// Whose pattern `iteration` sends: a file is filled once.
    [[nodiscard]] std::uint64_t sent_in(std::uint64_t iteration) const {
        return source_.is_file() ? 0 : iteration;
    }

    const Shape& shape_;
    const End& source_;
    const End& target_;
    VerifyMode mode_;
    std::vector<Place> samples_;
    Memory expected_, arrived_; // one piece each, aligned for direct files
    bool file_is_filled_ = false;
    bool is_whole_ = false; ///< what is under way looks at all bytes
};

} // namespace nixl::tools
