// SPDX-License-Identifier: Apache-2.0
// HOT
#include "operation.h"

#include <algorithm>
#include <cerrno>

namespace nixl::core::posix {
namespace {

// A split read takes three calls, one of them into the kernel's slow path for cold pages.
constexpr uint64_t MIN_DIRECT_MIDDLE_BYTES = 64u << 10;

} // namespace

Element Element::at(const sdk::OpCursor& cursor) noexcept {
    const nixl_region_pair& pair = cursor.pair();
    const uint64_t source = cursor.source_offset(), target = cursor.target_offset();
    Element element = {};
    element.bytes = cursor.bytes();
    element.is_write = pair.target.base == nullptr;
    element.is_valid = element.is_write != (pair.source.base == nullptr);
    const nixl_region& storage = element.is_write ? pair.target : pair.source;
    const nixl_region& memory = element.is_write ? pair.source : pair.target;
    element.storage = static_cast<const Region*>(storage.registration);
    element.memory = static_cast<const Region*>(memory.registration);
    if (!element.is_valid || element.storage == nullptr || !element.storage->is_storage) {
        element.is_valid = false;
        return element;
    }
    element.file_offset = element.storage->file_offset + (element.is_write ? target : source);
    element.address = static_cast<std::byte*>(memory.base) + (element.is_write ? source : target);
    return element;
}

bool Element::may_split() const noexcept {
    if (is_write || storage->direct_fd < 0 || bytes < MIN_DIRECT_MIDDLE_BYTES)
        return false;
    const uint64_t align = storage->direct_offset_align_bytes;
    const uint64_t head = (0 - file_offset) & (align - 1);
    const uint64_t tail = (file_offset + bytes) & (align - 1);
    return (head | tail) != 0 && bytes >= MIN_DIRECT_MIDDLE_BYTES + head + tail &&
           (reinterpret_cast<uintptr_t>(address + head) &
            (storage->direct_memory_align_bytes - 1)) == 0;
}

void Element::tell_cached() const noexcept {
    if (storage->direct_fd >= 0)
        storage->tell_cached(file_offset, bytes, address);
}

void Operation::begin(const sdk::OpCursor& cursor) noexcept {
    const Element first = Element::at(cursor);
    storage = first.storage;
    memory = first.memory;
    vectors[0] = {first.address, first.bytes};
    file_offset = first.file_offset;
    element_bytes = first.bytes;
    first_element = cursor.element();
    element_count = 1;
    error = first.is_valid ? 0 : EOPNOTSUPP;
    is_write = first.is_write;
    is_scattered = is_direct = is_alone = false;
    is_waiting = holds_phase = false;
    part_bytes = moved_bytes = 0;
    is_aligned = first.is_valid && first.may_go_direct();
    is_split = first.is_valid && !is_aligned && first.may_split();
    if (first.is_valid && !is_aligned && !is_split)
        first.tell_cached();
}

bool Operation::join(const Element& element, uint64_t merge_bytes) noexcept {
    const uint64_t joined_bytes = element_count * element_bytes;
    if (error != 0 || is_split || joined_bytes + element.bytes > merge_bytes ||
        element.bytes != element_bytes || !element.is_valid || element.storage != storage ||
        element.is_write != is_write || element.file_offset != file_offset + joined_bytes ||
        is_aligned != element.may_go_direct() || (!is_aligned && element.may_split()) ||
        !add_vector(element))
        return false;
    ++element_count;
    if (!is_aligned)
        element.tell_cached();
    return true;
}

/// False: there are MAX_VECTORS.
bool Operation::add_vector(const Element& element) noexcept {
    auto* const first = static_cast<std::byte*>(vectors[0].iov_base);
    if (!is_scattered && element.address == first + element_count * element_bytes) {
        vectors[0].iov_len += element.bytes;
        return true;
    }
    if (element_count >= MAX_VECTORS)
        return false;
    if (!is_scattered) { // from one piece to one piece per element
        for (uint32_t i = 0; i < element_count; ++i)
            vectors[i] = {first + i * element_bytes, element_bytes};
        is_scattered = true;
    }
    vectors[element_count] = {element.address, element.bytes};
    return true;
}

void Operation::choose_part() noexcept {
    const uint64_t align = storage->direct_offset_align_bytes;
    const uint64_t left = element_bytes - moved_bytes;
    const uint64_t head = (0 - file_offset) & (align - 1);
    part_bytes = head != 0 ? std::min(head, left) : left & ~(align - 1);
    is_aligned = head == 0 && part_bytes != 0 &&
                 storage->may_go_direct(file_offset, part_bytes, vectors->iov_base, is_write);
    if (head == 0 && !is_aligned) { // the tail, or a middle that the file's end cuts
        part_bytes = left;
        is_split = false;
    }
}

void Operation::skip_elements(uint32_t count) noexcept {
    element_count -= count;
    first_element += count;
    if (is_scattered) {
        file_offset += count * element_bytes;
        vectors += count;
    } else {
        advance(count * element_bytes);
    }
}

void Operation::skip_bytes(uint64_t moved) noexcept {
    moved_bytes += moved;
    advance(moved);
}

void Operation::advance(uint64_t bytes) noexcept {
    file_offset += bytes;
    vectors->iov_base = static_cast<std::byte*>(vectors->iov_base) + bytes;
    vectors->iov_len -= bytes;
}

} // namespace nixl::core::posix
