// SPDX-License-Identifier: Apache-2.0
// Writes JSON with line breaks. Commas, indents and escapes are its business, structure is the
// caller's.
#pragma once

#include <concepts>
#include <string>
#include <string_view>

namespace nixl::tools {

/// JsonWriter j; j.object().key("size").value(4096).end(); j.text()
class JsonWriter {
  public:
    JsonWriter& object() { return open('{', '}'); }
    JsonWriter& array() { return open('[', ']'); }
    JsonWriter& end(); ///< closes the innermost object or array
    JsonWriter& key(std::string_view name);
    JsonWriter& value(std::string_view text); ///< bytes that are no UTF-8 become '?'
    JsonWriter& value(const char* text) { return value(std::string_view(text)); }
    JsonWriter& value(bool flag) { return raw(flag ? "true" : "false"); }
    JsonWriter& value(double number); ///< never NaN or infinite: those are written as 0
    template <std::integral T> JsonWriter& value(T number) { return raw(std::to_string(number)); }
    JsonWriter& raw(std::string_view json); ///< a value that is JSON already
    template <typename T> JsonWriter& field(std::string_view name, const T& content) {
        return key(name).value(content);
    }

    /// With a line end after it.
    [[nodiscard]] std::string text() const { return text_ + "\n"; }

  private:
    JsonWriter& open(char opening, char closing);
    void separate();
    void break_line();

    std::string text_;
    std::string closings_; // one per level
    bool first_ = true;
    bool after_key_ = false;
};

} // namespace nixl::tools
