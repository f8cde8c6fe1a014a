// SPDX-License-Identifier: Apache-2.0
#include "common/latencies.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace nixl::tools {

namespace {

// Buckets below 2^8 ns hold one value each; every power of two above has 128.
constexpr unsigned SUB_BITS = 7, SUBS = 1u << SUB_BITS, POWERS = 64 - SUB_BITS;
constexpr unsigned JOINED = SUBS / 8;

size_t bucket_of(std::uint64_t ns) {
    if (ns < 2 * SUBS)
        return static_cast<size_t>(ns);
    const unsigned shift = static_cast<unsigned>(std::bit_width(ns)) - SUB_BITS - 1;
    return static_cast<size_t>(shift) * SUBS + static_cast<size_t>(ns >> shift);
}

std::uint64_t lowest_of(size_t bucket) {
    if (bucket < 2 * SUBS)
        return bucket;
    const size_t shift = bucket / SUBS - 1;
    return static_cast<std::uint64_t>(bucket - shift * SUBS) << shift;
}

} // namespace

Latencies::Latencies() : buckets_(static_cast<size_t>(POWERS + 1) * SUBS) {}

void Latencies::add(std::uint64_t ns) {
    ++buckets_[bucket_of(ns)];
    ++count_;
    total_ns_ += ns;
    min_ns_ = std::min(min_ns_, ns);
    max_ns_ = std::max(max_ns_, ns);
    const double value = static_cast<double>(ns), before = value - running_mean_;
    running_mean_ += before / static_cast<double>(count_);
    squares_ += before * (value - running_mean_);
}

double Latencies::mean_ns() const {
    return count_ == 0 ? 0 : static_cast<double>(total_ns_) / static_cast<double>(count_);
}

double Latencies::deviation_ns() const {
    return count_ < 2 ? 0 : std::sqrt(squares_ / static_cast<double>(count_));
}

double Latencies::variation() const { return mean_ns() > 0 ? deviation_ns() / mean_ns() : 0; }

double Latencies::percentile_ns(double fraction) const {
    if (count_ == 0)
        return 0;
    const auto rank = std::max<std::uint64_t>(
        1, static_cast<std::uint64_t>(std::ceil(fraction * static_cast<double>(count_))));
    if (rank <= 1 || rank >= count_)
        return rank <= 1 ? min_ns() : max_ns(); // known exactly
    std::uint64_t seen = 0;
    for (size_t i = 0; i < buckets_.size(); ++i) {
        seen += buckets_[i];
        if (seen < rank)
            continue;
        const double low = static_cast<double>(lowest_of(i));
        const double width = static_cast<double>(lowest_of(i + 1)) - low - 1;
        return std::clamp(low + width / 2, min_ns(), max_ns());
    }
    return max_ns();
}

std::vector<Latencies::Bucket> Latencies::histogram() const {
    std::vector<Bucket> out;
    for (size_t first = 0; first < buckets_.size(); first += JOINED) {
        std::uint64_t count = 0;
        for (size_t i = first; i < first + JOINED; ++i)
            count += buckets_[i];
        if (count != 0)
            out.push_back({static_cast<double>(lowest_of(first + JOINED)), count});
    }
    return out;
}

} // namespace nixl::tools
