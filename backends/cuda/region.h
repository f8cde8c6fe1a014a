// SPDX-License-Identifier: Apache-2.0
// HOT. One attached region: whose memory it is, and who may touch it.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <span>

#include "openings.h"
#include "pinned.h"
#include "windows.h"

namespace nixl::core::cuda {

/// What batches bring back as nixl_region::registration.
struct Region {
    Gpu* gpu = nullptr; ///< whose memory it is; nullptr: the host's, page-locked

    Region() = default;
    ~Region();
    Region(const Region&) = delete;
    Region& operator=(const Region&) = delete;

    /// How far a copy from here on can go.
    [[nodiscard]] uint64_t bytes_to_seam(Address at) const noexcept {
        const auto next = std::upper_bound(seams.begin(), seams.end(), at);
        return next == seams.end() ? UINT64_MAX : *next - at;
    }

    /// Whether copies on a stream of this GPU may touch it: where not, the driver refuses them.
    [[nodiscard]] bool is_open_to_copies(const Gpu& other) const noexcept {
        return gpu == nullptr || sharing.is_open_to(other.number);
    }
    /// Whether kernels of this GPU may touch it: where not, an access would end the GPU's context.
    [[nodiscard]] bool is_open_to(const Gpu& other) const noexcept {
        if (!kernels_reach || !is_open_to_copies(other))
            return false;
        return gpu == nullptr || gpu == &other ||
               (sharing.sort != Sharing::Sort::UNKNOWN && other.reaches(*gpu));
    }
    /// SUCCESS: it is still the memory that it was at attach(), as far as its marks tell. Asks the
    /// driver, some 50 ns for each, once per `occasion`. INVALID_VALUE: it was freed; else the
    /// driver's.
    [[nodiscard]] CuResult check_alive(const Calls& call, uint64_t occasion) const noexcept;

    std::vector<uintptr_t> seams;   ///< see PinnedRanges::Added
    PinnedRanges* pinned = nullptr; ///< where it is to be taken out of
    Openings* openings = nullptr;   ///< likewise
    uintptr_t address = 0;
    uint64_t bytes = 0;
    bool kernels_reach = false; ///< its addresses mean the same to kernels as to the program
    Sharing sharing;
    std::unique_ptr<Window> window; ///< nullptr: the processor does not reach it

    /// A place in it, and the driver's number of the allocation or mapping that was there.
    struct Mark {
        Address place;
        uint64_t buffer_id;
    };
    /// One; of a row of mappings, which may go one by one, at most so many, the first and the last
    /// of the row among them. None: page-locked here, so it cannot go away.
    static constexpr size_t MOST_MARKS = 8;
    std::vector<Mark> marks;

  private:
    mutable std::atomic<uint64_t> seen_alive_{0}; ///< the occasion; relaxed, each asks for itself
};

/// Asks the driver for one attribute of an address.
template <typename Value>
CuResult ask(const Calls& call, PointerAttribute which, Address address, Value* out) noexcept {
    void* const where = out;
    return call.pointer_attributes(1, &which, const_cast<void**>(&where), address);
}
template <typename Value>
bool answers(const Calls& call, PointerAttribute which, Address address, Value* out) noexcept {
    return ask(call, which, address, out) == CuResult::SUCCESS;
}

/// Fills in what the driver says of a region's memory, as `reader` sees it: the region's GPU, or of
/// host memory any.
/// Errors: INVALID_ARGUMENT addresses of the range have no memory; the driver's, where the GPU
/// cannot be asked.
Result<void> inspect(const Gpu& reader, Region* region);

/// Region::check_alive() of each, up to the first that is not; the GPU takes note of what ended it.
/// Before kernels and batches: they end the context, or the process, at memory that is gone.
[[nodiscard]] CuResult check_alive(Gpu& gpu, std::span<const Region* const> regions,
                                   uint64_t occasion) noexcept;

} // namespace nixl::core::cuda
