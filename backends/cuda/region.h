// SPDX-License-Identifier: Apache-2.0
// HOT. One attached region: whose memory it is, and what keeps it reachable for GPUs.
#pragma once

#include <algorithm>

#include "pinned.h"

namespace nixl::core::cuda {

/// What batches bring back as nixl_region::registration.
struct Region {
    Gpu* gpu = nullptr; ///< whose memory it is; nullptr: the host's, page-locked

    Region() = default;
    ~Region() {
        if (pinned != nullptr)
            pinned->remove(address, bytes);
    }
    Region(const Region&) = delete;
    Region& operator=(const Region&) = delete;

    /// How far a copy from here on can go.
    [[nodiscard]] uint64_t bytes_to_seam(Address at) const noexcept {
        const auto next = std::upper_bound(seams.begin(), seams.end(), at);
        return next == seams.end() ? UINT64_MAX : *next - at;
    }

    std::vector<uintptr_t> seams;   ///< see PinnedRanges::Added
    PinnedRanges* pinned = nullptr; ///< where it is to be taken out of
    uintptr_t address = 0;
    uint64_t bytes = 0;
};

} // namespace nixl::core::cuda
