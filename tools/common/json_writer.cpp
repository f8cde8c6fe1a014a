// SPDX-License-Identifier: Apache-2.0
#include "common/json_writer.h"

#include <charconv>
#include <cmath>

namespace nixl::tools {

namespace {

/// Bytes of the UTF-8 sequence at the start of `text`; 0 when it is none.
size_t sequence_bytes(std::string_view text) {
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char lead = byte(0);
    const size_t count = lead < 0x80    ? 1
                         : lead < 0xc2  ? 0
                         : lead < 0xe0  ? 2
                         : lead < 0xf0  ? 3
                         : lead <= 0xf4 ? 4
                                        : 0;
    if (count == 0 || count > text.size())
        return 0;
    for (size_t i = 1; i < count; ++i)
        if ((byte(i) & 0xc0) != 0x80)
            return 0;
    // Overlong forms, surrogates and what lies beyond the last code point are no UTF-8.
    if (count > 2) {
        const unsigned char second = byte(1);
        if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
            (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f))
            return 0;
    }
    return count;
}

void append_escaped(std::string& out, std::string_view text) {
    static constexpr char HEX[] = "0123456789abcdef";
    while (!text.empty()) {
        const size_t count = sequence_bytes(text);
        const auto c = static_cast<unsigned char>(text[0]);
        if (count == 0) {
            out += '?';
        } else if (c == '"' || c == '\\') {
            out += '\\';
            out += text[0];
        } else if (c < 0x20) {
            out += "\\u00";
            out += HEX[c >> 4];
            out += HEX[c & 15];
        } else {
            out += text.substr(0, count);
        }
        text.remove_prefix(count == 0 ? 1 : count);
    }
}

} // namespace

void JsonWriter::break_line() {
    text_ += '\n';
    text_.append(closings_.size() * 2, ' ');
}

void JsonWriter::separate() {
    if (!after_key_ && !closings_.empty()) {
        text_ += first_ ? "" : ",";
        break_line();
    }
    first_ = false;
    after_key_ = false;
}

JsonWriter& JsonWriter::open(char opening, char closing) {
    separate();
    text_ += opening;
    closings_ += closing;
    first_ = true;
    return *this;
}

JsonWriter& JsonWriter::end() {
    const char closing = closings_.back();
    closings_.pop_back();
    if (!first_)
        break_line();
    text_ += closing;
    first_ = false;
    return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
    separate();
    text_ += '"';
    append_escaped(text_, name);
    text_ += "\": ";
    after_key_ = true;
    return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
    separate();
    text_ += '"';
    append_escaped(text_, text);
    text_ += '"';
    return *this;
}

JsonWriter& JsonWriter::value(double number) {
    char digits[32];
    const auto end =
        std::to_chars(digits, digits + sizeof digits, std::isfinite(number) ? number : 0.0);
    std::string text(digits, end.ptr);
    if (text.find_first_of(".e") == std::string::npos)
        text += ".0"; // stays a number with a fraction for readers that tell the two apart
    return raw(text);
}

JsonWriter& JsonWriter::raw(std::string_view json) {
    separate();
    text_ += json;
    return *this;
}

} // namespace nixl::tools
