// SPDX-License-Identifier: Apache-2.0
// Small things about strings.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nixl::tools {

[[nodiscard]] std::string lower_case(std::string_view text);
[[nodiscard]] std::string trimmed(std::string_view text);
/// "a,,b" is {"a", "", "b"}.
[[nodiscard]] std::vector<std::string> split(std::string_view text, char separator);
/// Lines of at most `columns` characters; words are never cut.
[[nodiscard]] std::vector<std::string> wrap(std::string_view text, size_t columns);
[[nodiscard]] std::string joined(const std::vector<std::string>& parts, const char* between);
/// printf into a string.
[[nodiscard, gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...);
/// Control characters as '?', so that a file's name cannot drive the terminal.
[[nodiscard]] std::string printable(std::string_view text);

} // namespace nixl::tools
