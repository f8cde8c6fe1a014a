// SPDX-License-Identifier: Apache-2.0
// HOT. One attached region: whose memory it is, and what keeps it reachable for GPUs.
#pragma once

#include <algorithm>
#include <atomic>
#include <span>

#include "pinned.h"
#include "windows.h"

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

    /// Whether kernels of this GPU may touch it: where not, an access would end the GPU's context.
    [[nodiscard]] bool is_open_to(const Gpu& other) const noexcept {
        if (gpu == &other || gpu == nullptr)
            return kernels_reach;
        return kernels_reach && peers_reach && other.reaches(*gpu);
    }
    /// SUCCESS: it is still the memory that it was at attach(). Asks the driver, some 50 ns, once
    /// per `occasion`. INVALID_VALUE: it was freed; else the driver's.
    [[nodiscard]] CuResult check_alive(const Calls& call, uint64_t occasion) const noexcept;

    std::vector<uintptr_t> seams;   ///< see PinnedRanges::Added
    PinnedRanges* pinned = nullptr; ///< where it is to be taken out of
    uintptr_t address = 0;
    uint64_t bytes = 0;
    bool kernels_reach = false;     ///< those of its own GPU, or of any where it is the host's
    bool peers_reach = false;       ///< those of GPUs with peer access
    std::unique_ptr<Window> window; ///< nullptr: the processor does not reach it
    uint64_t buffer_id = 0;         ///< the driver's; 0: page-locked here, so it cannot go away

  private:
    mutable std::atomic<uint64_t> seen_alive_{0}; ///< the occasion; relaxed, each asks for itself
};

/// Fills in what the driver says of a region's memory, as `reader` sees it: the region's GPU, or of
/// host memory any.
void inspect(const Gpu& reader, Region* region) noexcept;

/// Region::check_alive() of each, up to the first that is not; the GPU takes note of what ended it.
/// Before kernels and batches: they end the context, or the process, at memory that is gone.
[[nodiscard]] CuResult check_alive(Gpu& gpu, std::span<const Region* const> regions,
                                   uint64_t occasion) noexcept;

} // namespace nixl::core::cuda
