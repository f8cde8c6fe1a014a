// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <algorithm>
#include <cstdio>

#include "base/checked.h"

namespace nixl::core {
namespace {

constexpr const char* SIZE_FORM = "a number with B, K/KB/KiB, M/MB/MiB, G/GB/GiB or T/TB/TiB, "
                                  "such as 4MB or 1.5GB";
constexpr const char* DURATION_FORM = "a number with ns, us, ms, s, m or h, such as 250ms or 10s";

__extension__ using uint128 = unsigned __int128;

constexpr uint64_t MAX_PARTS = 1'000'000'000'000'000'000; // 18 digits

/// A number and what is written behind it: "1.5" and "GB".
struct Measure {
    uint64_t whole = 0;
    uint64_t fraction = 0; // numerator ...
    uint64_t parts = 1;    // ... and denominator, a power of ten
    std::string_view unit;
};

Error bad_text(std::string_view text, const char* what, const char* accepted) {
    return Error(Code::INVALID_ARGUMENT, "\"" + std::string(text) + "\" is not " + what,
                 std::string("accepted: ") + accepted);
}

Error too_large(std::string_view text) {
    return Error(Code::OUT_OF_RANGE,
                 "\"" + std::string(text) + "\" is too large: it passes 2^64 - 1");
}

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// False when `text` does not start with a number, or its whole part passes 2^64 - 1.
Result<Measure> read_measure(std::string_view text, const char* what, const char* accepted) {
    const std::string_view all = trim(text);
    Measure measure;
    size_t at = 0;
    for (; at < all.size() && is_digit(all[at]); ++at) {
        if (!checked_mul(measure.whole, 10, &measure.whole) ||
            !checked_add(measure.whole, static_cast<uint64_t>(all[at] - '0'), &measure.whole))
            return too_large(text);
    }
    size_t digits = at;
    if (at < all.size() && all[at] == '.') {
        for (++at; at < all.size() && is_digit(all[at]); ++at, ++digits) {
            if (measure.parts >= MAX_PARTS)
                continue; // too small to matter; the value is rounded down anyway
            measure.fraction = measure.fraction * 10 + static_cast<uint64_t>(all[at] - '0');
            measure.parts *= 10;
        }
    }
    if (digits == 0)
        return bad_text(text, what, accepted);
    measure.unit = trim(all.substr(at));
    return measure;
}

/// `measure` in units of `scale`, rounded down.
Result<uint64_t> scaled(const Measure& measure, uint64_t scale, std::string_view text) {
    uint64_t value = 0;
    const auto part = static_cast<uint64_t>(uint128{measure.fraction} * scale / measure.parts);
    if (!checked_mul(measure.whole, scale, &value) || !checked_add(value, part, &value))
        return too_large(text);
    return value;
}

} // namespace

Result<uint64_t> parse_size(std::string_view text) {
    NIXL_ASSIGN_OR_RETURN(const Measure measure, read_measure(text, "a size", SIZE_FORM));
    std::string unit = to_lower(measure.unit);
    if (unit.empty() || unit == "b") {
        if (measure.parts > 1)
            return bad_text(text, "a whole number of bytes", SIZE_FORM);
        return measure.whole;
    }
    constexpr std::string_view prefixes = "kmgt";
    const size_t power = prefixes.find(unit[0]);
    const std::string_view rest = std::string_view(unit).substr(1);
    if (power == std::string_view::npos || !(rest.empty() || rest == "b" || rest == "ib"))
        return bad_text(text, "a size", SIZE_FORM);
    return scaled(measure, uint64_t{1} << (10 * (power + 1)), text);
}

std::string format_size(uint64_t bytes) {
    constexpr const char* units[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
    double value = static_cast<double>(bytes);
    size_t unit = 0;
    // 1023.995 would be printed as "1024.00".
    for (; value >= 1023.995 && unit + 1 < std::size(units); ++unit)
        value /= 1024;
    char out[48];
    if (unit == 0)
        std::snprintf(out, sizeof out, "%u B", static_cast<unsigned>(bytes));
    else
        std::snprintf(out, sizeof out, "%.2f %s", value, units[unit]);
    return out;
}

Result<uint64_t> parse_duration(std::string_view text) {
    struct Unit {
        std::string_view name;
        uint64_t ns;
    };
    constexpr Unit units[] = {{"", 1'000'000'000},
                              {"s", 1'000'000'000},
                              {"sec", 1'000'000'000},
                              {"ms", 1'000'000},
                              {"us", 1'000},
                              {"\xc2\xb5s", 1'000},
                              {"ns", 1},
                              {"m", 60'000'000'000},
                              {"min", 60'000'000'000},
                              {"h", 3'600'000'000'000}};
    NIXL_ASSIGN_OR_RETURN(const Measure measure, read_measure(text, "a duration", DURATION_FORM));
    const std::string wanted = to_lower(measure.unit);
    for (const Unit& unit : units)
        if (unit.name == wanted) {
            if (unit.ns == 1 && measure.parts > 1)
                return bad_text(text, "a whole number of nanoseconds", DURATION_FORM);
            return scaled(measure, unit.ns, text);
        }
    return bad_text(text, "a duration", DURATION_FORM);
}

Result<bool> parse_bool(std::string_view text) {
    constexpr std::string_view yes[] = {"true", "1", "yes", "on", "enable", "enabled"};
    constexpr std::string_view no[] = {"false", "0", "no", "off", "disable", "disabled"};
    const std::string word = to_lower(trim(text));
    if (std::find(std::begin(yes), std::end(yes), word) != std::end(yes))
        return true;
    if (std::find(std::begin(no), std::end(no), word) != std::end(no))
        return false;
    return bad_text(text, "a switch", "true/false, 1/0, yes/no, on/off, enable/disable");
}

Result<uint64_t> parse_integer(std::string_view text) {
    constexpr const char* form = "decimal digits, such as 16";
    const std::string_view digits = trim(text);
    if (digits.empty() || !std::all_of(digits.begin(), digits.end(), is_digit))
        return bad_text(text, "a whole number", form);
    NIXL_ASSIGN_OR_RETURN(const Measure measure, read_measure(text, "a whole number", form));
    return measure.whole;
}

namespace {

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
    for (size_t j = 0; j <= b.size(); ++j)
        last[j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            const bool same = lower(a[i - 1]) == lower(b[j - 1]);
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1]))
                row[j] = std::min(row[j], before[j - 2] + 1);
        }
        std::swap(before, last);
        std::swap(last, row);
    }
    return last[b.size()];
}

} // namespace

std::string_view closest_name(std::string_view name, std::span<const std::string_view> known) {
    constexpr size_t LONGEST_NAME =
        128; // longer ones are no misspelling, and the cost is quadratic
    std::string_view best;
    if (name.size() > LONGEST_NAME)
        return best;
    size_t limit = name.size() / 3 + 1; // a third of the letters may be wrong
    for (const std::string_view candidate : known) {
        const size_t distance = edit_distance(name, candidate);
        if (distance < limit) {
            limit = distance;
            best = candidate;
        }
    }
    return best;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    while (!text.empty()) {
        const size_t end = std::min(text.find(separator), text.size());
        const std::string_view part = trim(text.substr(0, end));
        if (!part.empty())
            parts.push_back(part);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return parts;
}

std::string_view trim(std::string_view text) noexcept {
    constexpr std::string_view blanks = " \t\r\n";
    const size_t first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

std::string to_lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), lower);
    return out;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return lower(x) == lower(y); });
}

} // namespace nixl::core
