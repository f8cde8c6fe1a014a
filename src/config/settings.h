// SPDX-License-Identifier: Apache-2.0
// Every setting of the library: one table, from which code, `nixl-info --config`, the documentation
// page and the suggestions for misspelt names are made.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace nixl::core {

enum class SettingType : uint8_t { BOOL, INTEGER, SIZE, DURATION, TEXT, CHOICE, SECRET, FRACTION };
enum class SettingOrigin : uint8_t { DEFAULT, FILE, ENVIRONMENT, ARGUMENT };
enum class SettingChange : uint8_t { AT_OPEN, ANY_TIME };

/// One row of the table. All text is static.
struct SettingInfo {
    const char* name; ///< "chunk_size"; backends' own: "posix.queue_depth"
    SettingType type;
    const char* default_text; ///< "" of a number: none; whoever uses it chooses
    const char* environment;  ///< "NIXL_CHUNK_SIZE"
    const char* aliases;      ///< other environment names, comma-separated; "" when none
    /// CHOICE: accepted values, comma-separated, each with its synonyms ("warn|warning,info"); else
    /// "". A choice of "true" and "false" accepts every spelling of a switch.
    const char* choices;
    uint64_t minimum, maximum; ///< INTEGER, SIZE (bytes), DURATION (ns): inclusive bounds
    SettingChange change;
    const char* help; ///< one sentence with the unit
};

/// The settings of one context. Values are checked when they are set.
///
/// Threads: one thread; the context guards it and hands out copies of what it needs.
class Settings {
  public:
    using Pair = std::pair<std::string, std::string>;

    static std::span<const SettingInfo> table() noexcept;

    /// Defaults, then the file that NIXL_CONFIG_FILE names, then the environment, then `given`; of
    /// log_level the more verbose of the last two wins. Names with a dot whose first part is no
    /// built-in backend's are kept as they are, for plug-ins. The environment is read here and
    /// never again. Errors: INVALID_ARGUMENT naming the setting or variable, the accepted values
    /// and, for an unknown name, the closest known one. Unknown NIXL_* variables give one WARN each
    /// per process.
    static Result<Settings> load(std::span<const Pair> given);

    /// All of `given` or none. BUSY for one that is fixed at open.
    Result<void> change(std::span<const Pair> given);

    /// The getters are for names in the table; anything else is a bug of the caller.
    [[nodiscard]] bool flag(std::string_view name) const;
    /// INTEGER; SIZE in bytes; CHOICE: the position among its choices.
    [[nodiscard]] uint64_t number(std::string_view name) const;
    [[nodiscard]] uint64_t nanoseconds(std::string_view name) const; ///< DURATION
    [[nodiscard]] const std::string& text(std::string_view name) const;

    /// The effective text of any name, a plug-in's own included; nullptr when there is none, also
    /// for a number that is not set and has no default. It is normalised ("true", bytes as digits,
    /// "5000000ns") and reads back as the same value.
    [[nodiscard]] const std::string* find(std::string_view name) const;
    [[nodiscard]] SettingOrigin origin(std::string_view name) const;

    /// [{"name","value","default","origin","environment","aliases","type","choices","change",
    /// "help"}...]; secrets masked.
    [[nodiscard]] std::string to_json() const;

    /// What was given as arguments, normalised.
    [[nodiscard]] const std::map<std::string, std::string, std::less<>>& given() const noexcept {
        return given_;
    }

  private:
    struct Value {
        std::string text;
        uint64_t number = 0;
        SettingOrigin origin = SettingOrigin::DEFAULT;
    };
    struct PluginValue {
        std::string text;
        SettingOrigin origin = SettingOrigin::ARGUMENT;
    };

    Result<void> load_defaults();
    Result<void> load_file();
    Result<void> load_environment();
    Result<void> set(std::string_view name, std::string_view text, SettingOrigin origin,
                     std::string_view called);
    [[nodiscard]] const Value& at(std::string_view name) const;

    std::vector<Value> values_; // as table()
    std::map<std::string, PluginValue, std::less<>> plugin_values_;
    std::map<std::string, std::string, std::less<>> given_;
    uint64_t environment_log_level_ = 0; // position among the choices; the floor of C-31
};

[[nodiscard]] const char* setting_type_name(SettingType type) noexcept;       ///< "size"
[[nodiscard]] const char* setting_origin_name(SettingOrigin origin) noexcept; ///< "environment"

} // namespace nixl::core
