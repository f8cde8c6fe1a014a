// SPDX-License-Identifier: Apache-2.0
// The addresses of one GPU's memory. Those that are given out may not be touched by the host; the
// bytes are reached through an alias.
#pragma once

#include <map>
#include <optional>

#include "pages.h"
#include "platform/cuda_calls.h"

namespace nixl::simcuda {

/// Guarded by the driver's mutex.
class Heap {
  public:
    /// Room for `bytes` of allocations, and as much again, so that holes between allocations do not
    /// make one fail that fits: a GPU's pages lie anywhere.
    static std::optional<Heap> create(size_t bytes);

    /// `bytes`: a multiple of 512. Nothing when there is no room.
    std::optional<core::cuda::Address> take(size_t bytes);
    void give(core::cuda::Address address, size_t bytes);

    [[nodiscard]] std::byte* alias(core::cuda::Address address) const;
    /// Puts what lies at a device address in place of what is mapped at `place`; whole pages.
    bool show_at(std::byte* place, core::cuda::Address address, size_t bytes) const;
    [[nodiscard]] bool holds(core::cuda::Address address) const;

  private:
    [[nodiscard]] size_t offset_of(core::cuda::Address address) const;

    Pages forbidden_, alias_;
    MemoryFile file_;
    std::map<size_t, size_t> holes_; // offset to bytes; two never touch
};

/// A part of a heap that is given back with the object.
class HeapPart {
  public:
    HeapPart() = default;
    HeapPart(Heap& heap, core::cuda::Address address, size_t bytes)
        : heap_(&heap), address_(address), bytes_(bytes) {}
    HeapPart(HeapPart&& other) noexcept
        : heap_(std::exchange(other.heap_, nullptr)), address_(other.address_),
          bytes_(other.bytes_) {}
    HeapPart& operator=(HeapPart&& other) noexcept {
        std::swap(heap_, other.heap_);
        std::swap(address_, other.address_);
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    ~HeapPart() {
        if (heap_ != nullptr)
            heap_->give(address_, bytes_);
    }

  private:
    Heap* heap_ = nullptr;
    core::cuda::Address address_ = 0;
    size_t bytes_ = 0;
};

} // namespace nixl::simcuda
