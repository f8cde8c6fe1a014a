// SPDX-License-Identifier: Apache-2.0
// HOT. The data path: which batches go by windows, and their way.
#include <algorithm>

#include "elements.h"
#include "windows.h"

namespace nixl::core::cuda {
namespace {

/// More are scattered work, which kernels do.
constexpr uint64_t MOST_ELEMENTS = 16;

bool is_write(const Piece& piece) noexcept { return piece.source_region->gpu == nullptr; }

/// The window on one end, where the other is the host's; nullptr: there is none.
const Window* window_of(const Piece& piece) noexcept {
    if (piece.source_region == nullptr || piece.target_region == nullptr)
        return nullptr;
    const Region& at_gpu = is_write(piece) ? *piece.target_region : *piece.source_region;
    const Region& other = is_write(piece) ? *piece.source_region : *piece.target_region;
    return other.gpu == nullptr && at_gpu.gpu != nullptr ? at_gpu.window.get() : nullptr;
}

/// A GPU that is lost takes writes as if it were there, and what is read of it is all ones.
/// `gpu`: of the other end, where the region is the host's.
bool is_usable(const Region& region, const Gpu& gpu, uint64_t occasion) noexcept {
    if (gpu.is_lost())
        return false;
    CuResult state = region.check_alive(gpu.driver.call, occasion);
    if (state == CuResult::INVALID_CONTEXT) { // this thread has none
        const CudaScope scope(gpu.driver, gpu.context);
        state = region.check_alive(gpu.driver.call, occasion);
    }
    return state == CuResult::SUCCESS;
}

/// Whether the last bytes, which were read last, are what a lost GPU gives. The copy engine then
/// tells the one from the other.
bool looks_lost(const unsigned char* content, uint64_t bytes) noexcept {
    const uint64_t looked_at = std::min<uint64_t>(bytes, 16);
    return std::all_of(content + bytes - looked_at, content + bytes,
                       [](unsigned char byte) { return byte == 0xff; });
}

bool move(const Piece& piece) noexcept {
    const GdrMapping& mapping = *window_of(piece)->mapping;
    if (is_write(piece))
        return mapping.write(piece.target, reinterpret_cast<const void*>(piece.source),
                             piece.bytes);
    auto* const target = reinterpret_cast<unsigned char*>(piece.target);
    return mapping.read(target, piece.source, piece.bytes) && !looks_lost(target, piece.bytes);
}

} // namespace

bool goes_by_window(const nixl_batch& batch, const WindowPolicy& policy) noexcept {
    // Work that waits for a stream cannot be done yet.
    if (policy.is_off() || batch.element_count > MOST_ELEMENTS || batch.stream != nullptr)
        return false;
    uint64_t write_bytes_left = policy.write_bytes, read_bytes_left = policy.read_bytes;
    for (Elements at(batch); !at.done(); at.next()) {
        const Piece piece = at.here();
        if (window_of(piece) == nullptr)
            return false;
        uint64_t& left = is_write(piece) ? write_bytes_left : read_bytes_left;
        if (piece.bytes > left)
            return false;
        left -= piece.bytes;
    }
    return true;
}

bool move_by_window(const nixl_batch& batch, const WindowPolicy& policy, Gpus& gpus) noexcept {
    if (!goes_by_window(batch, policy))
        return false;
    const uint64_t occasion = gpus.next_occasion();
    for (Elements at(batch); !at.done(); at.next()) {
        const Piece piece = at.here();
        const Gpu& gpu = *gpu_of(piece, false); // with a window there is one
        if (!is_usable(*piece.source_region, gpu, occasion) ||
            !is_usable(*piece.target_region, gpu, occasion))
            return false;
    }
    for (Elements at(batch); !at.done(); at.next())
        if (!move(at.here()))
            return false;
    return true;
}

} // namespace nixl::core::cuda
