// SPDX-License-Identifier: Apache-2.0
#include "common/json_reader.h"

#include <cstdlib>

namespace nixl::tools {

namespace {
constexpr unsigned DEEPEST = 32;
}

struct Json::Cursor {
    std::string_view rest;

    void skip_space() {
        const size_t next = rest.find_first_not_of(" \t\r\n");
        rest.remove_prefix(next == std::string_view::npos ? rest.size() : next);
    }
    bool take(char c) {
        skip_space();
        if (rest.empty() || rest.front() != c)
            return false;
        rest.remove_prefix(1);
        return true;
    }
    bool take_string(std::string& out) {
        if (!take('"'))
            return false;
        while (!rest.empty()) {
            char c = rest.front();
            rest.remove_prefix(1);
            if (c == '"')
                return true;
            if (c == '\\' && !take_escape(c))
                return false;
            out += c;
        }
        return false;
    }
    /// Code points beyond ASCII come unescaped from the library; here they become '?'.
    bool take_escape(char& out) {
        if (rest.empty())
            return false;
        const char c = rest.front();
        rest.remove_prefix(1);
        static constexpr std::string_view FROM = "nrtbf", TO = "\n\r\t\b\f";
        if (const size_t at = FROM.find(c); at != std::string_view::npos) {
            out = TO[at];
        } else if (c == 'u') {
            if (rest.size() < 4)
                return false;
            const long code = std::strtol(std::string(rest.substr(0, 4)).c_str(), nullptr, 16);
            out = code < 0x80 ? static_cast<char>(code) : '?';
            rest.remove_prefix(4);
        } else {
            out = c;
        }
        return true;
    }
};

bool Json::parse_members(Cursor& cursor, unsigned depth) {
    const bool named = cursor.rest.front() == '{';
    const char closing = named ? '}' : ']';
    cursor.rest.remove_prefix(1);
    if (cursor.take(closing))
        return true;
    do {
        auto& [name, member] = members_.emplace_back();
        if (named && !(cursor.take_string(name) && cursor.take(':')))
            return false;
        if (!member.parse(cursor, depth + 1))
            return false;
    } while (cursor.take(','));
    return cursor.take(closing);
}

bool Json::parse(Cursor& cursor, unsigned depth) {
    cursor.skip_space();
    if (cursor.rest.empty() || depth > DEEPEST)
        return false;
    const char first = cursor.rest.front();
    if (first == '{' || first == '[')
        return parse_members(cursor, depth);
    if (first == '"')
        return cursor.take_string(text_);
    const size_t end = cursor.rest.find_first_of(",]} \t\r\n");
    text_ = cursor.rest.substr(0, end);
    cursor.rest.remove_prefix(text_.size());
    return !text_.empty();
}

Json Json::read(std::string_view text) {
    Json value;
    Cursor cursor{text};
    if (!value.parse(cursor, 0))
        return {};
    return value;
}

const Json& Json::operator[](std::string_view name) const& {
    static const Json nothing;
    for (const auto& [key, member] : members_)
        if (key == name)
            return member;
    return nothing;
}

double Json::number() const { return std::strtod(text_.c_str(), nullptr); }

} // namespace nixl::tools
