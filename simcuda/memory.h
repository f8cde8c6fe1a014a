// SPDX-License-Identifier: Apache-2.0
// Every range of memory that the driver knows, by address.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "gpu.h"

namespace nixl::simcuda {

enum class Sort { DEVICE, POOLED, MANAGED, HOST_ALLOCATED, HOST_REGISTERED, MAPPED };

/// Physical memory for mapping. Freed with the last of its handle and its mappings.
struct Physical {
    Gpu* gpu = nullptr;
    size_t bytes = 0;
    bool exportable = false;
    bool is_for_rdma = false; ///< devices may be let at it
    Charge charge;
    MemoryFile file;
};

struct Range {
    Sort sort = Sort::DEVICE;
    core::cuda::Address start = 0;
    size_t bytes = 0;
    Gpu* gpu = nullptr;                    ///< whose memory it is, or whose context made it known
    core::cuda::Context context = nullptr; ///< of its making; MAPPED has none
    std::byte* alias = nullptr;            ///< where its bytes can be touched
    uint64_t readers = 0, writers = 0;     ///< MAPPED: GPUs with access, by ordinal
    uint64_t id = 0;                       ///< never given twice
    unsigned uses = 0;                     ///< operations that run on it
    bool closing = false;                  ///< known no more, but still in use

    Charge charge;
    HeapPart part;
    Pages pages;
    std::shared_ptr<Physical> physical;

    [[nodiscard]] bool is_host() const {
        return sort == Sort::HOST_ALLOCATED || sort == Sort::HOST_REGISTERED;
    }
    [[nodiscard]] bool is_device_only() const {
        return sort == Sort::DEVICE || sort == Sort::POOLED || sort == Sort::MAPPED;
    }
    /// Whether it has a list of GPUs that may touch it, and this one is not on it.
    [[nodiscard]] bool is_closed_to(const Gpu& other, bool writes) const {
        if (sort == Sort::POOLED)
            return gpu != &other && (gpu->let_in & other.bit()) == 0;
        return sort == Sort::MAPPED && ((writes ? writers : readers) & other.bit()) == 0;
    }
};

/// Guarded by the driver's mutex.
class Memory {
  public:
    /// Takes a range whose addresses are free.
    Range& add(Range range);
    /// The range that holds the address, or nullptr.
    [[nodiscard]] Range* at(core::cuda::Address address);
    /// The range that starts there, or nullptr.
    [[nodiscard]] Range* from(core::cuda::Address start);
    /// Ranges that are closing count: their addresses are still taken.
    [[nodiscard]] bool overlaps(core::cuda::Address address, size_t bytes);
    /// Whether the bytes lie in one allocation, or in mappings that follow each other; `visit` sees
    /// each range and may refuse it.
    template <typename Visit> bool covers(core::cuda::Address address, size_t bytes, Visit visit);
    /// Forgets a range, once no running operation touches it. `progress` tells of ended ones.
    void remove(Range& range, std::unique_lock<std::mutex>& lock,
                std::condition_variable& progress);
    /// Some range that `predicate` chooses, or nullptr.
    template <typename Predicate> Range* any_of(Predicate predicate) {
        for (auto& [start, range] : ranges_)
            if (!range.closing && predicate(range))
                return &range;
        return nullptr;
    }

  private:
    std::map<core::cuda::Address, Range> ranges_;
    uint64_t last_id_ = 0;
};

template <typename Visit>
bool Memory::covers(core::cuda::Address address, size_t bytes, Visit visit) {
    Range* range = at(address);
    while (range != nullptr && visit(*range)) {
        const size_t here = range->bytes - static_cast<size_t>(address - range->start);
        if (bytes <= here)
            return true;
        Range* const next =
            range->sort == Sort::MAPPED ? from(range->start + range->bytes) : nullptr;
        // Mappings of one reservation lie side by side in the alias, too.
        if (next == nullptr || next->alias != range->alias + range->bytes)
            return false;
        address = next->start;
        bytes -= here;
        range = next;
    }
    return false;
}

} // namespace nixl::simcuda
