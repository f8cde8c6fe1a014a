// SPDX-License-Identifier: Apache-2.0
#include "common/units.h"

#include <charconv>
#include <cmath>

#include "common/failure.h"
#include "common/text.h"

namespace nixl::tools {

namespace {

constexpr const char* SUFFIXES = "KMGT";
constexpr double LARGEST = 1ull << 60; // one exabyte: beyond every machine, far below overflow

/// Splits "1.5 GB" into 1.5 and "gb".
double leading_number(std::string_view text, std::string& unit, const char* what) {
    const std::string clean = trimmed(text);
    const size_t digits = clean.find_first_not_of("0123456789.");
    const std::string number = clean.substr(0, digits);
    unit = digits == std::string::npos ? "" : lower_case(trimmed(clean.substr(digits)));
    double value = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (error != std::errc() || end != number.data() + number.size())
        throw Failure(EXIT_USAGE, "\"" + clean + "\" is no " + what);
    return value;
}

std::uint64_t power(std::uint64_t base, unsigned exponent) {
    std::uint64_t out = 1;
    for (unsigned i = 0; i < exponent; ++i)
        out *= base;
    return out;
}

} // namespace

std::uint64_t parse_size(std::string_view text, SizeUnits units) {
    std::string unit;
    double value = leading_number(text, unit, "size; write it as 4096, 64K, 1.5GB");
    if (!unit.empty() && unit != "b") {
        const size_t exponent = std::string("kmgt").find(unit[0]);
        const std::string rest = unit.substr(1);
        if (exponent == std::string::npos || (rest != "" && rest != "b" && rest != "ib"))
            throw Failure(EXIT_USAGE, "\"" + std::string(text) +
                                          "\" has an unknown unit; known are B, KB, MB, GB, TB");
        const bool decimal = units == SizeUnits::DECIMAL && rest != "ib";
        value *= static_cast<double>(power(decimal ? 1000 : 1024, unsigned(exponent) + 1));
    }
    if (value > LARGEST)
        throw Failure(EXIT_USAGE, "\"" + std::string(text) + "\" is more than any machine has");
    if (value != std::floor(value))
        throw Failure(EXIT_USAGE, "\"" + std::string(text) + "\" is no whole number of bytes");
    return static_cast<std::uint64_t>(value);
}

std::vector<NamedSize> parse_sizes(std::string_view text, SizeUnits units) {
    std::vector<NamedSize> sizes;
    const auto add = [&](const std::string& name, std::uint64_t bytes) {
        if (bytes == 0)
            throw Failure(EXIT_USAGE, "a size of 0 moves nothing; the smallest is 1");
        sizes.push_back({name, bytes});
    };
    for (const std::string& part : split(text, ',')) {
        const size_t dots = part.find("..");
        const std::uint64_t first = parse_size(part.substr(0, dots), units);
        if (dots == std::string::npos) {
            add(trimmed(part), first);
            continue;
        }
        const std::uint64_t last = parse_size(part.substr(dots + 2), units);
        if (first > last)
            throw Failure(EXIT_USAGE, "the sweep " + part + " ends before it starts");
        if (first == 0)
            add(part, 0);
        for (std::uint64_t bytes = first; bytes <= last; bytes *= 2)
            add(short_size(bytes, units), bytes);
    }
    return sizes;
}

std::uint64_t parse_duration_ns(std::string_view text) {
    constexpr struct {
        const char* name;
        double ns;
    } UNITS[] = {{"", 1e9}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}, {"m", 60e9}};
    std::string unit;
    const double value = leading_number(text, unit, "duration; write it as 500ms, 10s, 1m");
    for (const auto& known : UNITS)
        if (unit == known.name && value * known.ns >= 1 && value * known.ns <= 1e15)
            return static_cast<std::uint64_t>(value * known.ns);
    throw Failure(EXIT_USAGE, "\"" + std::string(text) +
                                  "\" is no duration; write it as 500ms, 10s, 1m (above 0)");
}

std::uint64_t parse_count(std::string_view text, const std::string& what) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size())
        throw Failure(EXIT_USAGE, what + ": \"" + std::string(text) + "\" is no whole number");
    return value;
}

std::string format_size(std::uint64_t bytes, SizeUnits units) {
    const double base = units == SizeUnits::DECIMAL ? 1000 : 1024;
    double value = static_cast<double>(bytes);
    int exponent = -1;
    // What would be printed as 1024.00 is 1.00 of the next unit.
    while (value >= base - 0.005 && exponent < 3) {
        value /= base;
        ++exponent;
    }
    if (exponent < 0)
        return format("%.2f B", value);
    return format("%.2f %cB", value, SUFFIXES[exponent]);
}

std::string short_size(std::uint64_t bytes, SizeUnits units) {
    const std::uint64_t base = units == SizeUnits::DECIMAL ? 1000 : 1024;
    int exponent = -1;
    while (bytes != 0 && bytes % base == 0 && exponent < 3) {
        bytes /= base;
        ++exponent;
    }
    return exponent < 0 ? std::to_string(bytes) : std::to_string(bytes) + SUFFIXES[exponent];
}

std::string format_time(double ns) {
    if (ns >= 999.95e6)
        return format("%.1f s", ns / 1e9);
    if (ns >= 999.95e3)
        return format("%.1f ms", ns / 1e6);
    if (ns >= 999.95)
        return format("%.1f us", ns / 1e3);
    return format("%.1f ns", ns);
}

std::string format_rate(double bytes_per_ns) {
    if (bytes_per_ns >= 0.95)
        return format("%.1f GB/s", bytes_per_ns);
    if (bytes_per_ns >= 0.95e-3)
        return format("%.1f MB/s", bytes_per_ns * 1e3);
    return format("%.1f KB/s", bytes_per_ns * 1e6);
}

} // namespace nixl::tools
