// SPDX-License-Identifier: Apache-2.0
// One value against its row of the settings table.
#pragma once

#include <string>
#include <string_view>

#include "config/settings.h"

namespace nixl::core {

struct CheckedValue {
    std::string text; ///< normalised; reads back as the same value
    uint64_t number = 0;
};

/// Errors: INVALID_ARGUMENT that says what is wrong and, as hint, what is accepted. The text of a
/// SECRET is not repeated.
Result<CheckedValue> check_value(const SettingInfo& row, std::string_view text);

/// "auto, ucx (ucx_mo), tcp"
[[nodiscard]] std::string choices_for_people(const SettingInfo& row);

} // namespace nixl::core
