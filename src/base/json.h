// SPDX-License-Identifier: Apache-2.0
// Writes JSON. Commas and escapes are its business, structure is the caller's.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace nixl::core {

/// JsonWriter j; j.object().key("size").value(4096u).end(); j.text() is {"size":4096}.
class JsonWriter {
  public:
    JsonWriter& object();
    JsonWriter& array();
    JsonWriter& end(); ///< closes the innermost object or array
    JsonWriter& key(std::string_view name);
    JsonWriter& value(std::string_view text);
    JsonWriter& value(const char* text) { return value(std::string_view(text)); }
    JsonWriter& value(bool flag);
    JsonWriter& value(double number); ///< NaN and infinities are written as null
    template <std::integral T> JsonWriter& value(T number) { return raw(std::to_string(number)); }
    JsonWriter& null();
    JsonWriter& raw(std::string_view json); ///< a value that is JSON already

    [[nodiscard]] const std::string& text() const noexcept { return text_; }

  private:
    void separate();
    std::string text_;
    std::string open_; // one closing bracket per level
    bool first_ = true;
    bool after_key_ = false;
};

} // namespace nixl::core
