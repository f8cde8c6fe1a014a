// SPDX-License-Identifier: Apache-2.0
#include "nixlbench/shape.h"

#include <numeric>
#include <random>
#include <utility>

#include "common/failure.h"
#include "common/text.h"

namespace nixl::tools {

namespace {

constexpr const char* NAMES[] = {"contiguous", "strided", "random"};

/// The same at every run, so that runs compare.
std::vector<std::uint32_t> shuffled(std::uint64_t count, std::uint64_t seed) {
    std::vector<std::uint32_t> places(count);
    std::iota(places.begin(), places.end(), 0u);
    std::mt19937_64 random(seed);
    for (std::uint64_t i = count; i > 1; --i)
        std::swap(places[i - 1], places[random() % i]);
    return places;
}

} // namespace

Shape::Shape(std::uint64_t block_bytes, std::uint64_t count, Layout layout)
    : block_bytes_(block_bytes), count_(count), layout_(layout) {
    if (layout == Layout::RANDOM) {
        source_places_ = shuffled(count, 1);
        target_places_ = shuffled(count, 2);
    }
}

std::vector<nixl_run> Shape::runs() const {
    std::vector<nixl_run> runs;
    if (layout_ != Layout::RANDOM) {
        const auto step = static_cast<std::int64_t>(stride());
        runs.push_back({0, 0, block_bytes_, step, step, count_, 0, 0});
        return runs;
    }
    runs.reserve(count_);
    for (std::uint64_t i = 0; i < count_; ++i)
        runs.push_back({source_offset(i), target_offset(i), block_bytes_, 0, 0, 1, 0, 0});
    return runs;
}

Layout parse_layout(const std::string& text) {
    const std::string wanted = lower_case(text);
    for (const Layout layout : {Layout::CONTIGUOUS, Layout::STRIDED, Layout::RANDOM})
        if (wanted == layout_name(layout))
            return layout;
    throw Failure(EXIT_USAGE, "--layout: \"" + text + "\" is none of contiguous, strided, random");
}

const char* layout_name(Layout layout) { return NAMES[static_cast<int>(layout)]; }

} // namespace nixl::tools
