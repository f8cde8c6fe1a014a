// SPDX-License-Identifier: Apache-2.0
// HOT
// Puts scattered elements on a line as kernels.
#pragma once

#include <cstdint>

#include "elements.h"
#include "line.h"

namespace nixl::core::cuda {

/// What a call of gather_some() is told of its batch.
struct GatherOptions {
    uint32_t sm_budget;
    bool for_bulk;     ///< the bulk kernel takes what is aligned, else the plain one takes all
    uint64_t occasion; ///< see Region::check_alive()
};

/// Takes the next elements, as many as go with one flight, and puts them on the line. An element
/// whose memory is gone, and a launch that fails, end the flight as a copy that fails does.
/// False: it took nothing, since every table of the line is in use.
bool gather_some(Line& line, Flight& flight, Elements& at, const GatherOptions& options) noexcept;

/// Whether gather_some() would take a table for the next elements.
bool needs_table(Line& line, Elements& at, const GatherOptions& options) noexcept;

} // namespace nixl::core::cuda
