// SPDX-License-Identifier: Apache-2.0
#include "heap.h"

#include <cstdint>

namespace nixl::simcuda {

using core::cuda::Address;

constexpr size_t ALIGNMENT = size_t{2} << 20;

std::optional<Heap> Heap::create(size_t bytes) {
    const size_t room = bytes / ALIGNMENT * ALIGNMENT * 2 + ALIGNMENT;
    Heap heap;
    heap.forbidden_ = Pages::reserved(room, ALIGNMENT);
    heap.alias_ = Pages::reserved(room, ALIGNMENT);
    auto file = MemoryFile::create(room);
    if (!heap.forbidden_ || !heap.alias_ || !file || !file->show_at(heap.alias_.address(), room, 0))
        return std::nullopt;
    heap.file_ = std::move(*file);
    heap.holes_[0] = room;
    return heap;
}

std::optional<Address> Heap::take(size_t bytes) {
    for (auto hole = holes_.begin(); hole != holes_.end(); ++hole) {
        const auto [offset, length] = *hole;
        if (length < bytes)
            continue;
        holes_.erase(hole);
        if (length > bytes)
            holes_[offset + bytes] = length - bytes;
        return reinterpret_cast<uintptr_t>(forbidden_.address()) + offset;
    }
    return std::nullopt;
}

void Heap::give(Address address, size_t bytes) {
    size_t offset = offset_of(address);
    file_.punch(offset, bytes);
    auto next = holes_.lower_bound(offset);
    if (next != holes_.end() && next->first == offset + bytes) {
        bytes += next->second;
        next = holes_.erase(next);
    }
    if (next != holes_.begin()) {
        const auto before = std::prev(next);
        if (before->first + before->second == offset) {
            before->second += bytes;
            return;
        }
    }
    holes_[offset] = bytes;
}

std::byte* Heap::alias(Address address) const { return alias_.address() + offset_of(address); }

bool Heap::show_at(std::byte* place, Address address, size_t bytes) const {
    return file_.show_at(place, bytes, offset_of(address));
}

bool Heap::holds(Address address) const {
    return address >= reinterpret_cast<uintptr_t>(forbidden_.address()) &&
           offset_of(address) < forbidden_.bytes();
}

size_t Heap::offset_of(Address address) const {
    return static_cast<size_t>(address - reinterpret_cast<uintptr_t>(forbidden_.address()));
}

} // namespace nixl::simcuda
