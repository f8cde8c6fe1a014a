// SPDX-License-Identifier: Apache-2.0
// Reads small JSON files that people may have edited: strictly, with the line of what is wrong.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace nixl::core {

/// A value that holds no other, and where it stands.
struct JsonLeaf {
    enum class Kind : uint8_t { TEXT, NUMBER, FLAG, NONE, EMPTY }; ///< NONE: null; EMPTY: {} or []

    std::string path; ///< "costs.host_to_gpu.copy_ns"; of each element of an array "names[]"
    Kind kind = Kind::NONE;
    std::string text;  ///< without quotes and escapes; of others as it is written
    double number = 0; ///< of NUMBER; always finite
};

/// "number"
[[nodiscard]] const char* json_kind_name(JsonLeaf::Kind kind) noexcept;

/// The leaves of one object, in their order. Errors: INVALID_ARGUMENT with line and path; also for
/// a name that is empty, holds '.', '[' or ']' or stands twice in its object, for what is nested
/// more than 16 deep, and for numbers beyond a double.
Result<std::vector<JsonLeaf>> read_json(std::string_view text);

} // namespace nixl::core
