// SPDX-License-Identifier: Apache-2.0
#include "config/value.h"

#include <charconv>
#include <system_error>

#include "base/text.h"

namespace nixl::core {
namespace {

Result<CheckedValue> check_choice(const SettingInfo& row, std::string_view text) {
    const std::string_view wanted = trim(text);
    const auto choices = split(row.choices, ',');
    for (size_t i = 0; i < choices.size(); ++i) {
        const auto spellings = split(choices[i], '|');
        for (const std::string_view spelling : spellings)
            if (equals_ignoring_case(spelling, wanted))
                return CheckedValue{std::string(spellings[0]), i};
    }
    const bool is_switch = std::string_view(row.choices).find("true") != std::string_view::npos;
    if (const auto flag = parse_bool(wanted); is_switch && flag.ok())
        return check_choice(row, flag.value() ? "true" : "false");
    return Error(Code::INVALID_ARGUMENT,
                 "\"" + std::string(text) + "\" is none of the values it can have",
                 "accepted: " + choices_for_people(row) +
                     (is_switch ? ", and 1/0, yes/no, on/off, enable/disable" : ""));
}

std::string with_unit(const SettingInfo& row, uint64_t number) {
    switch (row.type) {
    case SettingType::SIZE:
        return format_size(number);
    case SettingType::DURATION:
        return std::to_string(number / 1'000'000) + "ms";
    default:
        return std::to_string(number);
    }
}

Result<CheckedValue> check_number(const SettingInfo& row, std::string_view text) {
    NIXL_ASSIGN_OR_RETURN(const uint64_t number, row.type == SettingType::SIZE ? parse_size(text)
                                                 : row.type == SettingType::DURATION
                                                     ? parse_duration(text)
                                                     : parse_integer(text));
    if (number < row.minimum || number > row.maximum)
        return Error(
            Code::INVALID_ARGUMENT,
            "\"" + std::string(text) + "\" is too " + (number < row.minimum ? "small" : "large"),
            "accepted: " + with_unit(row, row.minimum) + " to " + with_unit(row, row.maximum));
    return CheckedValue{std::to_string(number) + (row.type == SettingType::DURATION ? "ns" : ""),
                        number};
}

Result<CheckedValue> check_fraction(std::string_view text) {
    const std::string_view wanted = trim(text);
    const char* const end = wanted.data() + wanted.size();
    double value = -1;
    const auto parsed = std::from_chars(wanted.data(), end, value);
    if (parsed.ec != std::errc() || parsed.ptr != end || !(value >= 0 && value <= 1))
        return Error(Code::INVALID_ARGUMENT, "\"" + std::string(text) + "\" is no fraction",
                     "accepted: a number from 0 to 1, such as 0.25");
    return CheckedValue{std::string(wanted), 0};
}

} // namespace

Result<CheckedValue> check_value(const SettingInfo& row, std::string_view text) {
    switch (row.type) {
    case SettingType::BOOL: {
        NIXL_ASSIGN_OR_RETURN(const bool flag, parse_bool(text));
        return CheckedValue{flag ? "true" : "false", flag ? 1u : 0u};
    }
    case SettingType::INTEGER:
    case SettingType::SIZE:
    case SettingType::DURATION: {
        auto checked = check_number(row, text);
        if (!checked.ok())
            checked.error().code = Code::INVALID_ARGUMENT; // also for what does not fit 64 bits
        return checked;
    }
    case SettingType::CHOICE:
        return check_choice(row, text);
    case SettingType::FRACTION:
        return check_fraction(text);
    case SettingType::TEXT:
    case SettingType::SECRET:
        break;
    }
    if (text.find('\0') != std::string_view::npos)
        return Error(Code::INVALID_ARGUMENT, "it holds a zero byte");
    return CheckedValue{std::string(text), 0};
}

std::string choices_for_people(const SettingInfo& row) {
    std::string out;
    for (const std::string_view choice : split(row.choices, ',')) {
        const auto spellings = split(choice, '|');
        out += out.empty() ? "" : ", ";
        out += spellings[0];
        for (size_t i = 1; i < spellings.size(); ++i)
            out += " (" + std::string(spellings[i]) + ")";
    }
    return out;
}

} // namespace nixl::core
