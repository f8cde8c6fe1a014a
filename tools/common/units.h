// SPDX-License-Identifier: Apache-2.0
// Sizes, times and rates as people write and read them. Sizes count 1024, rates 1000.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nixl::tools {

/// What K, M, G and T multiply by; KiB and the like are 1024 always.
enum class SizeUnits { BINARY, DECIMAL };

/// "64MB", "1.5G", "4096". Throws Failure (EXIT_USAGE).
[[nodiscard]] std::uint64_t parse_size(std::string_view text, SizeUnits units = SizeUnits::BINARY);

struct NamedSize {
    std::string text; ///< as it was asked for
    std::uint64_t bytes;
};
/// "64MB", "4K,64K", or "4K..64M", which doubles. None is zero. Throws Failure (EXIT_USAGE).
[[nodiscard]] std::vector<NamedSize> parse_sizes(std::string_view text, SizeUnits units);

/// "10", "500ms", "2s", "1m"; a plain number is seconds. Throws Failure (EXIT_USAGE).
[[nodiscard]] std::uint64_t parse_duration_ns(std::string_view text);

/// Digits only. Throws Failure (EXIT_USAGE), which names `what`.
[[nodiscard]] std::uint64_t parse_count(std::string_view text, const std::string& what);

[[nodiscard]] std::string format_size(std::uint64_t bytes,
                                      SizeUnits units = SizeUnits::BINARY); ///< "1.00 GB"
/// "64K": no spaces, exact or else in bytes.
[[nodiscard]] std::string short_size(std::uint64_t bytes, SizeUnits units = SizeUnits::BINARY);
[[nodiscard]] std::string format_time(double ns);           ///< "22.1 ms", "12.3 us", "95.0 ns"
[[nodiscard]] std::string format_rate(double bytes_per_ns); ///< "45.2 GB/s", "3.4 MB/s"

} // namespace nixl::tools
