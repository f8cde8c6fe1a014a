// SPDX-License-Identifier: Apache-2.0
// The texts of refused calls on requests. Cold: out of the way of the calls that succeed.
#pragma once

#include "capi/context_table.h"

namespace nixl::core {

nixl_status refuse_stale() noexcept;
nixl_status refuse_no_output() noexcept;
nixl_status refuse_stream() noexcept;
nixl_status refuse_post(Code code) noexcept;
/// Of a post that was refused with `code`: whether that was for its staging memory, which is then
/// told.
bool refuse_staging(Code code) noexcept;
/// A post was answered AGAIN: what had no room.
nixl_status refuse_full(const Transfers& transfers, const PostOptions& options) noexcept;
nixl_status refuse_note(Code code) noexcept;
nixl_status refuse_options(Code code) noexcept;
nixl_status refuse_wait() noexcept;
nixl_status refuse_index(Code code, uint64_t position, uint32_t source, uint32_t target) noexcept;

} // namespace nixl::core
