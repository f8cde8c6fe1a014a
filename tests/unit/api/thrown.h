// SPDX-License-Identifier: Apache-2.0
// What a call throws, as a value.
#pragma once

#include <nixl/error.hpp>

/// Code::OK where nothing was thrown.
template <typename Call> nixl::NIXLException thrown_by(Call call) {
    try {
        call();
    } catch (const nixl::NIXLException& error) {
        return error;
    }
    return nixl::NIXLException(nixl::Code::OK, "nothing was thrown");
}
