// SPDX-License-Identifier: Apache-2.0
#include "config/settings.h"

#include <algorithm>
#include <cstdlib>

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "config/sources.h"
#include "config/value.h"

namespace nixl::core {
namespace {

constexpr const char* MASK = "********";
constexpr std::string_view LOG_LEVEL = "log_level";

size_t index_of(const SettingInfo& row) {
    return static_cast<size_t>(&row - Settings::table().data());
}

bool is_number(const SettingInfo& row) {
    return row.type == SettingType::INTEGER || row.type == SettingType::SIZE ||
           row.type == SettingType::DURATION;
}

/// A plug-in's settings have no row to say so; their names have to.
bool names_a_secret(std::string_view name) {
    const std::string text = to_lower(name);
    for (const char* word : {"secret", "password", "token", "access_key"})
        if (text.find(word) != std::string::npos)
            return true;
    return false;
}

} // namespace

Result<Settings> Settings::load(std::span<const Pair> given) {
    Settings settings;
    NIXL_RETURN_IF_ERROR(settings.load_defaults());
    // The file is named by the environment or an argument and yields to both.
    const auto named = std::find_if(given.rbegin(), given.rend(),
                                    [](const Pair& pair) { return pair.first == "config_file"; });
    if (named != given.rend())
        NIXL_RETURN_IF_ERROR(
            settings.set(named->first, named->second, SettingOrigin::ARGUMENT, ""));
    else if (const char* path = std::getenv("NIXL_CONFIG_FILE"); path != nullptr && *path != '\0')
        NIXL_RETURN_IF_ERROR(settings.set("config_file", path, SettingOrigin::ENVIRONMENT, ""));
    NIXL_RETURN_IF_ERROR(settings.load_file());
    NIXL_RETURN_IF_ERROR(settings.load_environment());
    for (const auto& [name, text] : given)
        NIXL_RETURN_IF_ERROR(settings.set(name, text, SettingOrigin::ARGUMENT, "setting " + name));
    return settings;
}

Result<void> Settings::load_defaults() {
    values_.resize(table().size());
    for (const SettingInfo& row : table()) {
        if (is_number(row) && *row.default_text == '\0')
            continue;
        auto checked = check_value(row, row.default_text);
        if (!checked.ok()) // a mistake in the table; a unit test loads it
            return std::move(checked).error().within(std::string("default of ") + row.name);
        values_[index_of(row)] = {std::move(checked.value().text), checked.value().number,
                                  SettingOrigin::DEFAULT};
    }
    return {};
}

Result<void> Settings::load_file() {
    const std::string path = text("config_file");
    if (path.empty())
        return {};
    auto values = read_config_file(path);
    if (!values.ok())
        return std::move(values).error().within("settings file");
    for (const SourcedValue& value : values.value())
        if (value.name != "config_file")
            NIXL_RETURN_IF_ERROR(set(value.name, value.text, SettingOrigin::FILE, value.called));
    return {};
}

Result<void> Settings::load_environment() {
    for (const SourcedValue& value : read_environment()) {
        auto done = set(value.name, value.text, SettingOrigin::ENVIRONMENT, value.called);
        if (done.ok())
            continue;
        if (value.name != LOG_LEVEL)
            return std::move(done).error();
        // A wrong log level must not keep a program from running.
        if (log_first_time("bad log level " + value.text))
            NIXL_LOG(WARN, done.error().message + "; " + done.error().hint + "; using " +
                               text(LOG_LEVEL));
    }
    const Value& level = at(LOG_LEVEL);
    environment_log_level_ = level.origin == SettingOrigin::ENVIRONMENT ? level.number : 0;
    return {};
}

Result<void> Settings::set(std::string_view name, std::string_view text, SettingOrigin origin,
                           std::string_view called) {
    const SettingInfo* row = find_setting(name);
    if (row == nullptr) {
        if (!is_plugin_setting(name))
            return unknown_setting(name);
        plugin_values_[std::string(name)] = {std::string(text), origin};
        if (origin == SettingOrigin::ARGUMENT)
            given_[std::string(name)] = text;
        return {};
    }
    auto checked = check_value(*row, text);
    if (!checked.ok())
        return std::move(checked).error().within(called);
    Value value{std::move(checked.value().text), checked.value().number, origin};
    if (origin == SettingOrigin::ARGUMENT) {
        given_[std::string(name)] = value.text;
        if (name == LOG_LEVEL && value.number < environment_log_level_)
            return {}; // whoever exports a more verbose level wants to see it
    }
    values_[index_of(*row)] = std::move(value);
    return {};
}

Result<void> Settings::change(std::span<const Pair> given) {
    Settings changed = *this;
    for (const auto& [name, text] : given) {
        NIXL_RETURN_IF_ERROR(changed.set(name, text, SettingOrigin::ARGUMENT, "setting " + name));
        const SettingInfo* row = find_setting(name);
        const bool fixed = row == nullptr || row->change == SettingChange::AT_OPEN;
        const std::string* before = find(name);
        if (fixed && (before == nullptr || *before != *changed.find(name)))
            return Error(Code::BUSY, "setting " + name + " is fixed while the library is in use",
                         "give it to initialize(), after finalize() if need be");
    }
    *this = std::move(changed);
    return {};
}

const Settings::Value& Settings::at(std::string_view name) const {
    const SettingInfo* row = find_setting(name);
    if (row == nullptr) { // a bug of ours: the names are literals
        log_write(Level::ERROR, __FILE__, __LINE__, "no such setting: " + std::string(name));
        std::abort();
    }
    return values_[index_of(*row)];
}

bool Settings::flag(std::string_view name) const { return at(name).number != 0; }
uint64_t Settings::number(std::string_view name) const { return at(name).number; }
uint64_t Settings::nanoseconds(std::string_view name) const { return at(name).number; }
const std::string& Settings::text(std::string_view name) const { return at(name).text; }

const std::string* Settings::find(std::string_view name) const {
    if (const SettingInfo* row = find_setting(name); row != nullptr) {
        const std::string& text = values_[index_of(*row)].text;
        return is_number(*row) && text.empty() ? nullptr : &text;
    }
    const auto plugin = plugin_values_.find(name);
    return plugin == plugin_values_.end() ? nullptr : &plugin->second.text;
}

SettingOrigin Settings::origin(std::string_view name) const {
    const auto plugin = plugin_values_.find(name);
    return plugin != plugin_values_.end() ? plugin->second.origin : at(name).origin;
}

std::string Settings::to_json() const {
    JsonWriter json;
    json.array();
    for (const SettingInfo& row : table()) {
        const Value& value = values_[index_of(row)];
        const bool hidden = row.type == SettingType::SECRET && !value.text.empty();
        json.object().key("name").value(row.name).key("value").value(hidden ? MASK : value.text);
        json.key("default").value(row.default_text);
        json.key("origin").value(setting_origin_name(value.origin));
        json.key("environment").value(row.environment).key("aliases").value(row.aliases);
        json.key("type").value(setting_type_name(row.type));
        json.key("choices").value(choices_for_people(row));
        json.key("change").value(row.change == SettingChange::ANY_TIME ? "any time" : "at open");
        json.key("help").value(row.help).end();
    }
    for (const auto& [name, value] : plugin_values_) {
        json.object().key("name").value(name);
        json.key("value").value(names_a_secret(name) ? std::string(MASK) : value.text);
        json.key("default").value("").key("origin").value(setting_origin_name(value.origin));
        json.key("environment").value("").key("aliases").value("").key("type").value("text");
        json.key("choices").value("").key("change").value("at open");
        json.key("help").value("A plug-in's own setting.").end();
    }
    return json.end().text();
}

const char* setting_type_name(SettingType type) noexcept {
    constexpr const char* names[] = {"bool", "integer", "size",   "duration",
                                     "text", "choice",  "secret", "fraction"};
    return names[static_cast<size_t>(type)];
}

const char* setting_origin_name(SettingOrigin origin) noexcept {
    constexpr const char* names[] = {"default", "file", "environment", "argument"};
    return names[static_cast<size_t>(origin)];
}

} // namespace nixl::core
