// SPDX-License-Identifier: Apache-2.0
#include "base/json_reader.h"

#include <algorithm>
#include <charconv>
#include <set>

namespace nixl::core {
namespace {

constexpr unsigned DEEPEST = 16;
constexpr std::string_view SPACE = " \t\r\n";

void append_utf8(std::string& out, unsigned code) {
    const auto part = [&](unsigned bits) { out += static_cast<char>(bits); };
    if (code < 0x80) {
        part(code);
    } else if (code < 0x800) {
        part(0xc0 | code >> 6);
        part(0x80 | (code & 0x3f));
    } else {
        part(0xe0 | code >> 12);
        part(0x80 | (code >> 6 & 0x3f));
        part(0x80 | (code & 0x3f));
    }
}

/// JSON's own form: stricter than from_chars(), which takes "inf", "01" and "1.".
bool is_number(std::string_view text) noexcept {
    const auto digits = [&] {
        const size_t end = std::min(text.find_first_not_of("0123456789"), text.size());
        text.remove_prefix(end);
        return end;
    };
    const auto take = [&](std::string_view any) {
        const bool is_there = !text.empty() && any.find(text.front()) != std::string_view::npos;
        text.remove_prefix(is_there ? 1 : 0);
        return is_there;
    };
    (void)take("-");
    const bool starts_with_zero = !text.empty() && text.front() == '0';
    const size_t whole = digits();
    if (whole == 0 || (starts_with_zero && whole > 1) || (take(".") && digits() == 0))
        return false;
    if (take("eE")) {
        (void)take("+-");
        if (digits() == 0)
            return false;
    }
    return text.empty();
}

class Reader {
  public:
    explicit Reader(std::string_view text) : all_(text), rest_(text) {}

    Result<std::vector<JsonLeaf>> read() {
        skip_space();
        if (rest_.empty() || rest_.front() != '{')
            return wrong("an object, { ... }, is expected");
        NIXL_RETURN_IF_ERROR(read_value(1));
        skip_space();
        if (!rest_.empty())
            return wrong("something follows the object");
        return std::move(leaves_);
    }

  private:
    [[nodiscard]] Error wrong(const std::string& what) const {
        const auto line =
            1 + std::count(all_.begin(), all_.end() - static_cast<ptrdiff_t>(rest_.size()), '\n');
        return Error(Code::INVALID_ARGUMENT, "line " + std::to_string(line) + ": " +
                                                 (path_.empty() ? "" : path_ + ": ") + what);
    }
    void skip_space() noexcept {
        rest_.remove_prefix(std::min(rest_.find_first_not_of(SPACE), rest_.size()));
    }
    bool take(char c) noexcept {
        skip_space();
        const bool is_there = !rest_.empty() && rest_.front() == c;
        rest_.remove_prefix(is_there ? 1 : 0);
        return is_there;
    }
    void add(JsonLeaf::Kind kind, std::string text, double number = 0) {
        leaves_.push_back({path_, kind, std::move(text), number});
    }

    Result<void> read_value(unsigned depth);
    Result<void> read_object(unsigned depth);
    Result<void> read_array(unsigned depth);
    Result<void> read_word();
    Result<std::string> read_text();
    Result<void> read_escape(std::string& out);

    const std::string_view all_;
    std::string_view rest_;
    std::string path_; // of what is read
    std::vector<JsonLeaf> leaves_;
};

Result<void> Reader::read_value(unsigned depth) {
    if (depth > DEEPEST)
        return wrong("nested too deep");
    skip_space();
    const char first = rest_.empty() ? '\0' : rest_.front();
    if (first == '{')
        return read_object(depth);
    if (first == '[')
        return read_array(depth);
    if (first != '"')
        return read_word();
    NIXL_ASSIGN_OR_RETURN(std::string text, read_text());
    add(JsonLeaf::Kind::TEXT, std::move(text));
    return {};
}

Result<void> Reader::read_object(unsigned depth) {
    (void)take('{');
    if (take('}')) {
        add(JsonLeaf::Kind::EMPTY, "{}");
        return {};
    }
    std::set<std::string> names;
    const size_t outer = path_.size();
    do {
        path_.resize(outer);
        skip_space();
        if (rest_.empty() || rest_.front() != '"')
            return wrong("a name in quotes is expected");
        NIXL_ASSIGN_OR_RETURN(std::string name, read_text());
        if (name.empty() || name.find_first_of(".[]") != std::string::npos)
            return wrong("\"" + name + "\" is no name of a value");
        path_ += (outer == 0 ? "" : ".") + name;
        if (!names.insert(std::move(name)).second)
            return wrong("stands twice");
        if (!take(':'))
            return wrong("':' is expected");
        NIXL_RETURN_IF_ERROR(read_value(depth + 1));
    } while (take(','));
    path_.resize(outer);
    if (!take('}'))
        return wrong("',' or '}' is expected");
    return {};
}

Result<void> Reader::read_array(unsigned depth) {
    (void)take('[');
    if (take(']')) {
        add(JsonLeaf::Kind::EMPTY, "[]");
        return {};
    }
    const size_t outer = path_.size();
    path_ += "[]";
    do
        NIXL_RETURN_IF_ERROR(read_value(depth + 1));
    while (take(','));
    path_.resize(outer);
    if (!take(']'))
        return wrong("',' or ']' is expected");
    return {};
}

Result<void> Reader::read_word() {
    const std::string word(rest_.substr(0, rest_.find_first_of(" \t\r\n,:{}[]\"")));
    double number = 0;
    if (word == "true" || word == "false") {
        add(JsonLeaf::Kind::FLAG, word);
    } else if (word == "null") {
        add(JsonLeaf::Kind::NONE, word);
    } else if (!is_number(word)) {
        return wrong(word.empty() ? "a value is expected" : word + " is no value of JSON");
    } else if (std::from_chars(word.data(), word.data() + word.size(), number).ec != std::errc()) {
        return wrong(word + " is beyond what a number can be");
    } else {
        add(JsonLeaf::Kind::NUMBER, word, number);
    }
    rest_.remove_prefix(word.size());
    return {};
}

Result<std::string> Reader::read_text() {
    std::string out;
    rest_.remove_prefix(1); // the quote
    while (!rest_.empty() && rest_.front() != '"') {
        const char c = rest_.front();
        if (static_cast<unsigned char>(c) < 0x20)
            return wrong("a text does not end in its line");
        rest_.remove_prefix(1);
        if (c == '\\')
            NIXL_RETURN_IF_ERROR(read_escape(out));
        else
            out += c;
    }
    if (!take('"'))
        return wrong("a text does not end");
    return out;
}

Result<void> Reader::read_escape(std::string& out) {
    constexpr std::string_view from = "\"\\/bfnrt", to = "\"\\/\b\f\n\r\t";
    const char c = rest_.empty() ? '\0' : rest_.front();
    if (const size_t at = from.find(c); at != std::string_view::npos) {
        out += to[at];
        rest_.remove_prefix(1);
        return {};
    }
    unsigned code = 0;
    const std::string_view digits = rest_.substr(std::min<size_t>(1, rest_.size()), 4);
    const char* const end = digits.data() + digits.size();
    if (c != 'u' || digits.size() != 4 || std::from_chars(digits.data(), end, code, 16).ptr != end)
        return wrong("an escape that is none of JSON's");
    if (code >= 0xd800 && code < 0xe000)
        return wrong("a surrogate: write the character itself");
    append_utf8(out, code);
    rest_.remove_prefix(5);
    return {};
}

} // namespace

const char* json_kind_name(JsonLeaf::Kind kind) noexcept {
    constexpr const char* names[] = {"text", "number", "flag, true or false", "null",
                                     "list without members"};
    return names[static_cast<size_t>(kind)];
}

Result<std::vector<JsonLeaf>> read_json(std::string_view text) { return Reader(text).read(); }

} // namespace nixl::core
