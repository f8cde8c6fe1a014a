// SPDX-License-Identifier: Apache-2.0
// Text that people write, as values: sizes, durations, switches, whole numbers, lists, misspelt
// names.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace nixl::core {

/// "4MB", "1.5 gib", "64K", "512": bytes. Units B, K/KB/KiB ... T/TB/TiB in any case, all
/// 1024-based; a fraction needs a unit above B and is rounded down to whole bytes. 0 is a size.
/// Errors: INVALID_ARGUMENT quoting the text and the accepted form; OUT_OF_RANGE beyond 2^64 - 1.
Result<uint64_t> parse_size(std::string_view text);

/// "1.00 GB", "512 B": two decimals, 1024-based, so that parse_size("1GB") is printed as it was
/// meant.
[[nodiscard]] std::string format_size(uint64_t bytes);

/// "10s", "250ms", "5us", "1.5m", "2h", "100ns"; a plain number is seconds. Nanoseconds.
Result<uint64_t> parse_duration(std::string_view text);

/// true/false, 1/0, yes/no, on/off, enable/disable (also ...d), in any case.
Result<bool> parse_bool(std::string_view text);

/// Decimal digits alone.
Result<uint64_t> parse_integer(std::string_view text);

/// The name of `known` that a misspelt `name` most likely meant; empty when nothing is near.
[[nodiscard]] std::string_view closest_name(std::string_view name,
                                            std::span<const std::string_view> known);

/// The parts between separators, without surrounding blanks and without empty parts. They point
/// into `text`.
[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);

[[nodiscard]] std::string_view trim(std::string_view text) noexcept;
/// ASCII only, whatever the locale says.
[[nodiscard]] std::string to_lower(std::string_view text);
[[nodiscard]] bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept;
[[nodiscard]] inline char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
[[nodiscard]] inline char upper(char c) noexcept {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

} // namespace nixl::core
