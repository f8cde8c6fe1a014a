// SPDX-License-Identifier: Apache-2.0
// Where values come from besides arguments: the environment and a file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/settings.h"

namespace nixl::core {

/// A value, and how to call it in an error ("NIXL_BACKEND", "/etc/nixl.conf:3").
struct SourcedValue {
    const SettingInfo* row; ///< nullptr: a plug-in's own
    std::string name;
    std::string text;
    std::string called;
};

/// The variables that are set, not empty and of the table. Warns, once per process each, of unknown
/// NIXL_* names and of an alias that disagrees with the main name, which wins.
[[nodiscard]] std::vector<SourcedValue> read_environment();

/// Lines "name = value", optionally quoted; "[posix]" puts "posix." before the names that follow;
/// "#" starts a comment. Errors: what open() says; INVALID_ARGUMENT with the line's number.
Result<std::vector<SourcedValue>> read_config_file(const std::string& path);

/// The row of a name; nullptr when it is none of the table.
[[nodiscard]] const SettingInfo* find_setting(std::string_view name) noexcept;
/// Whether `name` is "<plug-in>.<key>" of something that is not built in.
[[nodiscard]] bool is_plugin_setting(std::string_view name);
/// INVALID_ARGUMENT with the closest name, or with the call that it belongs to.
Error unknown_setting(std::string_view name);

} // namespace nixl::core
