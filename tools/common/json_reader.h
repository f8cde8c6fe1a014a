// SPDX-License-Identifier: Apache-2.0
// Reads the JSON that the library writes about itself, to show it to people.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nixl::tools {

/// A value and what it holds. Looking for what is not there gives an empty value, never an error.
class Json {
  public:
    /// An empty value when `text` is no JSON.
    [[nodiscard]] static Json read(std::string_view text);

    [[nodiscard]] const Json& operator[](std::string_view name) const&;
    const Json& operator[](std::string_view name) && = delete;      ///< keep the value, then look
    [[nodiscard]] const std::string& text() const { return text_; } ///< of a string or a number
    [[nodiscard]] bool is_true() const { return text_ == "true"; }
    [[nodiscard]] bool empty() const { return text_.empty() && members_.empty(); }
    [[nodiscard]] double number() const;
    /// Of an object with their names, of an array with empty ones.
    [[nodiscard]] const std::vector<std::pair<std::string, Json>>& members() const& {
        return members_;
    }
    const std::vector<std::pair<std::string, Json>>& members() && = delete;

  private:
    struct Cursor;
    bool parse(Cursor& cursor, unsigned depth);
    bool parse_members(Cursor& cursor, unsigned depth);

    std::string text_;
    std::vector<std::pair<std::string, Json>> members_;
};

} // namespace nixl::tools
