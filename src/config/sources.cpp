// SPDX-License-Identifier: Apache-2.0
#include "config/sources.h"

#include <algorithm>
#include <cstdlib>

#include "base/log.h"
#include "base/read_file.h"
#include "base/text.h"
#include "config/value.h"

extern char** environ;

namespace nixl::core {
namespace {

constexpr std::string_view VARIABLE_PREFIX = "NIXL_";

/// Variables of programs and builds around the library, and those that the other implementation of
/// this interface reads and that mean nothing here. A trailing * stands for any ending.
constexpr std::string_view OTHERS_VARIABLES[] = {
    "NIXL_LIBRARY",        "NIXL_PREFIX",        "NIXL_ROOT",
    "NIXL_LIB_DIR",        "NIXL_PYTHON_*",      "NIXL_BENCH_*",
    "NIXL_TEST_*",         "NIXL_TELEMETRY_*",   "NIXL_TCPSTORE_*",
    "NIXL_LIBFABRIC_*",    "NIXL_MOONCAKE_*",    "NIXL_UCX_DEEPBIND",
    "NIXL_UCX_SGL_ENABLE", "NIXL_UCX_WARNING_*", "NIXL_UCX_EXPECTED_SONAME",
    "NIXL_DEBUG_LOGGING",  "NIXL_USE_MD_*",      "NIXL_NO_STUBS_FALLBACK",
    "NIXL_BACKEND_PARAMS", "NIXL_EP*",           "NIXL_DISABLE_CUDA_ADDR_WA",
    "NIXL_TRACE_BACKENDS", "NIXL_SEED_*",        "NIXL_SIM_GPU_BYTES",
    "NIXL_SIM_FAULTS",     "NIXL_SIM_COMPUTE",   "NIXL_SIM_DRIVER",
    "NIXL_SIM_PEERS",
};

bool is_others_variable(std::string_view name) {
    return std::any_of(std::begin(OTHERS_VARIABLES), std::end(OTHERS_VARIABLES),
                       [&](std::string_view pattern) {
                           if (pattern.back() != '*')
                               return name == pattern;
                           pattern.remove_suffix(1);
                           return name.substr(0, pattern.size()) == pattern;
                       });
}

/// Names that belong to another call, and its name.
struct ElsewhereName {
    std::string_view name;
    const char* call;
};
constexpr ElsewhereName ELSEWHERE[] = {
    {"compression", "nixl.distributed.configure()"},
    {"compression_level", "nixl.distributed.configure()"},
    {"endpoint", "nixl.configure_backend()"},
    {"access_key", "nixl.configure_backend()"},
    {"secret_key", "nixl.configure_backend()"},
    {"bucket", "nixl.configure_backend()"},
    {"region", "nixl.configure_backend()"},
};

const SettingInfo* row_of_variable(std::string_view variable) {
    for (const SettingInfo& row : Settings::table()) {
        const auto aliases = split(row.aliases, ',');
        if (variable == row.environment ||
            std::find(aliases.begin(), aliases.end(), variable) != aliases.end())
            return &row;
    }
    return nullptr;
}

void warn_of_unknown(std::string_view variable) {
    if (is_others_variable(variable) ||
        !log_first_time("unknown variable " + std::string(variable)))
        return;
    std::vector<std::string_view> known;
    for (const SettingInfo& row : Settings::table())
        known.push_back(row.environment);
    const std::string_view closest = closest_name(variable, known);
    NIXL_LOG(WARN, "environment variable " + std::string(variable) + " is unknown and ignored; " +
                       (closest.empty() ? std::string("nixl-info --config lists those that exist")
                                        : "did you mean " + std::string(closest) + "?"));
}

void warn_of_conflict(const SourcedValue& kept, const SourcedValue& dropped) {
    if (log_first_time("conflict " + kept.called + " " + dropped.called))
        NIXL_LOG(WARN, kept.called + "=" + kept.text + " and " + dropped.called + "=" +
                           dropped.text + " disagree; " + kept.called + " wins");
}

Result<std::string> read_whole(const std::string& path) {
    auto text = read_file(path);
    if (text.ok() && text.value().size() > MAX_READ_FILE_BYTES)
        return Error(Code::INVALID_ARGUMENT, path + ": larger than 1 MB, so no settings file");
    return text;
}

std::string_view unquoted(std::string_view text) {
    const bool quoted = text.size() >= 2 && (text.front() == '"' || text.front() == '\'') &&
                        text.front() == text.back();
    return quoted ? text.substr(1, text.size() - 2) : text;
}

} // namespace

std::vector<SourcedValue> read_environment() {
    std::vector<SourcedValue> values;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view pair(*entry);
        const size_t equals = pair.find('=');
        if (pair.substr(0, VARIABLE_PREFIX.size()) != VARIABLE_PREFIX ||
            equals == std::string_view::npos || equals + 1 == pair.size())
            continue; // an empty variable counts as unset
        const std::string_view variable = pair.substr(0, equals);
        const SettingInfo* row = row_of_variable(variable);
        if (row == nullptr) {
            warn_of_unknown(variable);
            continue;
        }
        SourcedValue value{row, row->name, std::string(pair.substr(equals + 1)),
                           std::string(variable)};
        const auto same = std::find_if(values.begin(), values.end(),
                                       [&](const SourcedValue& other) { return other.row == row; });
        if (same == values.end()) {
            values.push_back(std::move(value));
            continue;
        }
        if (variable == row->environment)
            std::swap(*same, value); // the main name wins over its aliases
        const auto kept = check_value(*row, same->text), dropped = check_value(*row, value.text);
        const bool agree = kept.ok() && dropped.ok() && kept.value().text == dropped.value().text;
        if (!agree && row->type != SettingType::SECRET)
            warn_of_conflict(*same, value);
    }
    return values;
}

Result<std::vector<SourcedValue>> read_config_file(const std::string& path) {
    NIXL_ASSIGN_OR_RETURN(const std::string text, read_whole(path));
    std::vector<SourcedValue> values;
    std::string section;
    std::string_view rest = text;
    for (int number = 1; !rest.empty(); ++number) {
        const size_t end = std::min(rest.find('\n'), rest.size());
        const std::string_view line = trim(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
        const std::string where = path + ":" + std::to_string(number);
        if (line.empty() || line[0] == '#')
            continue;
        if (line.front() == '[' && line.back() == ']') {
            section = std::string(trim(line.substr(1, line.size() - 2))) + ".";
            continue;
        }
        const size_t equals = line.find('=');
        if (equals == std::string_view::npos)
            return Error(Code::INVALID_ARGUMENT, where + ": not of the form name = value");
        const std::string name = section + std::string(trim(line.substr(0, equals)));
        const SettingInfo* row = find_setting(name);
        if (row == nullptr && !is_plugin_setting(name))
            return unknown_setting(name).within(where);
        values.push_back(
            {row, name, std::string(unquoted(trim(line.substr(equals + 1)))), where + ": " + name});
    }
    return values;
}

const SettingInfo* find_setting(std::string_view name) noexcept {
    for (const SettingInfo& row : Settings::table())
        if (name == row.name)
            return &row;
    return nullptr;
}

bool is_plugin_setting(std::string_view name) {
    const size_t dot = name.find('.');
    if (dot == 0 || dot == std::string_view::npos || dot + 1 == name.size())
        return false;
    const std::string_view owner = name.substr(0, dot + 1);
    return std::none_of(Settings::table().begin(), Settings::table().end(),
                        [&](const SettingInfo& row) {
                            return std::string_view(row.name).substr(0, owner.size()) == owner;
                        });
}

Error unknown_setting(std::string_view name) {
    const std::string message = "there is no setting \"" + std::string(name) + "\"";
    for (const ElsewhereName& elsewhere : ELSEWHERE)
        if (elsewhere.name == name)
            return Error(Code::INVALID_ARGUMENT, message + " here",
                         std::string("set it with ") + elsewhere.call);
    std::vector<std::string_view> known;
    for (const SettingInfo& row : Settings::table())
        known.push_back(row.name);
    std::string_view closest = closest_name(name, known);
    for (const SettingInfo& row : Settings::table())
        if (equals_ignoring_case(name, row.environment))
            closest = row.name;
    return Error(Code::INVALID_ARGUMENT, message,
                 closest.empty() ? "nixl-info --config lists those that exist"
                                 : "did you mean \"" + std::string(closest) + "\"?");
}

} // namespace nixl::core
