// SPDX-License-Identifier: Apache-2.0
// Latencies of any number of iterations in fixed memory: exact mean, extremes and deviation, and a
// histogram of logarithmic buckets, whose percentiles are right to 0.4 %.
#pragma once

#include <cstdint>
#include <vector>

namespace nixl::tools {

class Latencies {
  public:
    struct Bucket {
        double upper_ns;
        std::uint64_t count;
    };

    Latencies();
    void add(std::uint64_t ns);

    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] double total_ns() const { return static_cast<double>(total_ns_); }
    /// 0 without samples, as all of these.
    [[nodiscard]] double mean_ns() const;
    [[nodiscard]] double min_ns() const { return count_ == 0 ? 0 : static_cast<double>(min_ns_); }
    [[nodiscard]] double max_ns() const { return static_cast<double>(max_ns_); }
    /// Of the samples as the whole population; 0 for one sample.
    [[nodiscard]] double deviation_ns() const;
    /// Deviation over mean.
    [[nodiscard]] double variation() const;
    /// The smallest latency that at least `fraction` of the samples do not exceed.
    [[nodiscard]] double percentile_ns(double fraction) const;
    /// Those that are not empty, joined to at most eight per power of two.
    [[nodiscard]] std::vector<Bucket> histogram() const;

  private:
    std::vector<std::uint64_t> buckets_;
    std::uint64_t count_ = 0, total_ns_ = 0, min_ns_ = UINT64_MAX, max_ns_ = 0;
    double running_mean_ = 0, squares_ = 0; // Welford's recurrence: no cancellation
};

} // namespace nixl::tools
