// SPDX-License-Identifier: Apache-2.0
#include "nixlbench/progress.h"

#include <algorithm>
#include <cstdio>
#include <string>

#include <unistd.h>

namespace nixl::tools {

namespace {
constexpr std::uint64_t SHOW_EVERY_NS = 100'000'000;
constexpr unsigned BAR = 24;
} // namespace

Progress::Progress(const Plan& plan, std::uint64_t bytes)
    : plan_(plan), bytes_(bytes), is_on_(!plan.quiet && isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
    if (is_shown_)
        std::fputs("\r\033[K", stderr);
}

void Progress::show(const Latencies& latencies, std::uint64_t elapsed_ns) {
    if (!is_on_ || (is_shown_ && elapsed_ns - last_ns_ < SHOW_EVERY_NS))
        return;
    last_ns_ = elapsed_ns;
    is_shown_ = true;
    const double done =
        plan_.iterations != 0
            ? static_cast<double>(latencies.count()) / static_cast<double>(plan_.iterations)
            : static_cast<double>(elapsed_ns) / static_cast<double>(plan_.target_ns);
    const auto filled = static_cast<size_t>(std::min(done, 1.0) * BAR);
    const std::string bar = std::string(filled, '#') + std::string(BAR - filled, '-');
    const double mean_ns = latencies.mean_ns();
    const double left_ns =
        done > 0 ? static_cast<double>(elapsed_ns) * (1 / std::min(done, 1.0) - 1) : 0;
    std::fprintf(stderr, "\r\033[K[%s] %llu  %s  p50 %s  %.1f s left", bar.c_str(),
                 static_cast<unsigned long long>(latencies.count()),
                 format_rate(mean_ns > 0 ? static_cast<double>(bytes_) / mean_ns : 0).c_str(),
                 format_time(latencies.percentile_ns(0.5)).c_str(), left_ns / 1e9);
}

} // namespace nixl::tools
