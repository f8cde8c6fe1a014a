// SPDX-License-Identifier: Apache-2.0
// Requests drawn by seed, in each form that the application ABI has, and what a target may hold
// after one of them ended well, badly or early.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <nixl/nixl_c.h>

#include "tests/conformance/place.h"

namespace nixl::test {

struct RandomRequest {
    enum class Shape { RANGE, STRIDED, LISTED, LISTS, INDEXED };
    struct Element {
        uint64_t source, target, bytes;
    };
    Shape shape = Shape::RANGE;
    std::vector<Element> elements; ///< in the caller's order; their targets do not overlap
    std::vector<nixl_run> runs;    ///< RANGE (one), STRIDED, LISTED
    std::vector<nixl_block> source_blocks, target_blocks; ///< LISTS, INDEXED
    std::vector<uint32_t> source_indices, target_indices; ///< INDEXED

    [[nodiscard]] uint64_t bytes() const;
};

[[nodiscard]] RandomRequest draw_request(std::mt19937_64& random, uint64_t source_bytes,
                                         uint64_t target_bytes);

/// Bytes of a source have their highest bit clear, those of a target before the transfer have it
/// set: so each byte tells whether it was moved.
[[nodiscard]] Bytes source_content(uint64_t bytes, uint64_t seed);
[[nodiscard]] Bytes target_content(uint64_t bytes, uint64_t seed);

/// What of a request is in its target.
struct Moved {
    uint64_t bytes = 0;
    std::vector<bool> whole; ///< by element
    std::string damage;      ///< "": each element holds a prefix, and nothing else was written
    [[nodiscard]] uint64_t whole_elements() const;
};
/// `in_order`: only a prefix of an element may have moved; else any part of it (a composed route
/// moves the chunks of an element at the same time).
[[nodiscard]] Moved moved_by(const RandomRequest& request, const Bytes& source, const Bytes& before,
                             const Bytes& after, bool in_order);

} // namespace nixl::test
