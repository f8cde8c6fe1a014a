// SPDX-License-Identifier: Apache-2.0
// Says why a control call failed: formats into the nixl_error_text that the core lent. C++17.
#pragma once

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <string>
#include <system_error>

#include <nixl/backend.h>

namespace nixl::sdk {

/// Writes the text, cut to fit, and the provider's own code (0: none); returns `code`, so that a
/// refusal is one line: `return fail(error, NIXL_NOT_FOUND, 0, "%s: no such device", name);`
///
/// `error` may be null. Never fails, never throws.
__attribute__((format(printf, 4, 5))) inline nixl_status
fail(nixl_error_text* error, nixl_status code, int32_t detail, const char* format, ...) noexcept {
    if (error == nullptr)
        return code;
    error->detail = detail;
    if (error->text == nullptr || error->bytes == 0)
        return code;
    va_list arguments;
    va_start(arguments, format);
    if (std::vsnprintf(error->text, error->bytes, format, arguments) < 0)
        error->text[0] = '\0';
    va_end(arguments);
    return code;
}

/// The same with the system's words for an errno: "open /x: No such file or directory".
inline nixl_status fail_errno(nixl_error_text* error, nixl_status code, int number,
                              const char* what) {
    const std::string words = std::generic_category().message(number);
    return fail(error, code, number, "%s: %s", what, words.c_str());
}

} // namespace nixl::sdk
