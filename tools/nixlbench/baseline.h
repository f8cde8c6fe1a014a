// SPDX-License-Identifier: Apache-2.0
// What the same job takes without the library: plain memcpy and plain system calls, with one thread
// and with several; of GPUs one copy of as many bytes by the driver, which of page-locked memory is
// the limit of the link. It is measured in turns with the library's, on the same buffers and files.
#pragma once

#include <memory>
#include <string>

#include "common/crew.h"
#include "common/latencies.h"
#include "nixlbench/driver_copy.h"
#include "nixlbench/end.h"
#include "nixlbench/shape.h"

namespace nixl::tools {

class Baseline {
  public:
    /// Between files and GPUs there is none.
    Baseline(const Shape& shape, const End& source, const End& target);

    /// Ways to do the job; 0 when there is none.
    [[nodiscard]] unsigned ways() const { return ways_; }
    /// Does the job once and notes its time. `way` below ways().
    void measure(unsigned way);

    struct Best {
        double median_ns = 0; ///< 0: nothing was measured
        std::string name;     ///< "memcpy with 2 threads"
        std::uint64_t samples = 0;
    };
    /// The way with the smallest median.
    [[nodiscard]] Best best() const;

  private:
    void job(unsigned thread, unsigned threads);
    void move(std::uint64_t source_offset, std::uint64_t target_offset, std::uint64_t bytes,
              char* between);

    const Shape& shape_;
    const End& source_;
    const End& target_;
    unsigned ways_;
    std::unique_ptr<Crew> crew_;
    std::unique_ptr<Memory> between_; // file to file: one piece per thread
    std::string call_;
    std::unique_ptr<DriverCopy> driver_; ///< instead of the crew
    bool refused_ = false;               ///< by the driver
    Latencies latencies_[2];
};

} // namespace nixl::tools
