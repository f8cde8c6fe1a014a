// SPDX-License-Identifier: Apache-2.0
// What the copying kernels are told, and how their workers walk over it. Compiled three times: for
// the two kernels, and as host code by the simulated driver. So it includes nothing of the host's.
#pragma once

#include <stdint.h>

#if defined(__CUDA__)
#define NIXL_ON_GPU __attribute__((device, host)) inline
#else
#define NIXL_ON_GPU inline
#endif

namespace nixl::core::cuda {

/// One element of a list that has no common shape. Addresses are the GPU's, here and below.
struct ListEntry {
    uint64_t source;
    uint64_t target;
    uint64_t bytes; // at least 1
};

/// Where the elements of one side lie: element k at addresses[i], or at base + i * stride, where i
/// is index[k], or k where there is no index.
struct ListSide {
    uint64_t base;
    int64_t stride;            // bytes
    const uint64_t* addresses; // null: strided
    const uint32_t* index;
};

/// Elements to copy; the only parameter of a kernel.
struct CopyList {
    const ListEntry* entries; // null: elements are `bytes` long, and the sides tell where
    ListSide source, target;
    uint64_t bytes; // of each, at least 1
    uint64_t count; // elements
};

/// How the kernels are launched. A worker is a warp; the first ones of all blocks come first, so
/// that few elements spread over many multiprocessors.
struct BulkShape {
    static constexpr uint32_t WARPS = 8, STAGES = 6, CHUNK_BYTES = 4096, THREADS = WARPS * 32;
    static constexpr uint32_t SHARED_BYTES = WARPS * STAGES * CHUNK_BYTES;
    static constexpr uint32_t STATIC_BYTES = WARPS * STAGES * (8 + 16); // barriers and stages
    static constexpr uint64_t ALIGNMENT = 16;                           // of addresses and lengths
};
struct PlainShape {
    static constexpr uint32_t WARPS = 32, THREADS = WARPS * 32, CHUNK_BYTES = 16 * 1024;
};

/// What one step of a worker copies.
struct Chunk {
    uint64_t source;
    uint64_t target;
    uint32_t bytes;
};

/// The chunks of one worker among many: those of every `workers`-th unit. A unit is an element, or,
/// of long ones that are alike, so much of it that workers can share it.
///
/// What the table says of the next unit is read while the present one is copied: indices two units
/// ahead, places one. Nothing is done with them before, since a worker stands still at the first
/// use of what has not arrived.
class Walk {
  public:
    static constexpr uint64_t UNIT_BYTES = 16 * 1024;

    NIXL_ON_GPU Walk(const CopyList& list, uint64_t worker, uint64_t workers, uint32_t chunk_bytes)
        : list_(list), workers_(workers), chunk_bytes_(chunk_bytes), unit_(worker) {
        units_each_ = list.entries != nullptr ? 1 : (list.bytes + UNIT_BYTES - 1) / UNIT_BYTES;
        units_ = list.count * units_each_;
        read_indices(unit_);
        read_place();
    }

    /// False: there is no more.
    NIXL_ON_GPU bool next(Chunk* out) {
        if (now_.bytes == 0) {
            if (unit_ >= units_)
                return false;
            now_ = ahead_;
            now_.source += offset_ahead_;
            now_.target += offset_ahead_;
            unit_ += workers_;
            read_place();
        }
        const uint64_t bytes = now_.bytes < chunk_bytes_ ? now_.bytes : chunk_bytes_;
        *out = {now_.source, now_.target, static_cast<uint32_t>(bytes)};
        now_.source += bytes;
        now_.target += bytes;
        now_.bytes -= bytes;
        return true;
    }

  private:
    NIXL_ON_GPU uint64_t element_of(uint64_t unit) const {
        return units_each_ == 1 ? unit : unit / units_each_;
    }
    NIXL_ON_GPU void read_indices(uint64_t unit) {
        if (unit >= units_)
            return;
        const uint64_t element = element_of(unit);
        source_index_ = list_.source.index != nullptr ? list_.source.index[element] : element;
        target_index_ = list_.target.index != nullptr ? list_.target.index[element] : element;
    }
    /// Of unit_, whose indices were read before.
    NIXL_ON_GPU void read_place() {
        if (unit_ >= units_)
            return;
        if (list_.entries != nullptr) {
            ahead_ = list_.entries[unit_];
            return;
        }
        offset_ahead_ = (unit_ - element_of(unit_) * units_each_) * UNIT_BYTES;
        ahead_.source = place(list_.source, source_index_);
        ahead_.target = place(list_.target, target_index_);
        ahead_.bytes =
            list_.bytes - offset_ahead_ < UNIT_BYTES ? list_.bytes - offset_ahead_ : UNIT_BYTES;
        read_indices(unit_ + workers_);
    }
    /// Unsigned, so that a negative stride wraps round to the right place.
    NIXL_ON_GPU static uint64_t place(const ListSide& side, uint64_t index) {
        return side.addresses != nullptr ? side.addresses[index]
                                         : side.base + index * static_cast<uint64_t>(side.stride);
    }

    const CopyList& list_;
    const uint64_t workers_;
    const uint32_t chunk_bytes_;
    uint64_t unit_, units_, units_each_;
    uint64_t source_index_ = 0, target_index_ = 0, offset_ahead_ = 0;
    ListEntry now_{}, ahead_{};
};

} // namespace nixl::core::cuda
