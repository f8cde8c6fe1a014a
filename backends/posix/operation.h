// SPDX-License-Identifier: Apache-2.0
// One kernel operation: how elements become one, and what is left of it after a result. HOT
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <sys/uio.h>

#include <nixl/sdk/op_cursor.hpp>

#include "region.h"

namespace nixl::core::posix {

inline constexpr uint32_t MAX_VECTORS = 64; // pieces of memory of one kernel operation

// Results of operations up to this size follow each other within some 10 us at full depth.
inline constexpr uint64_t SMALL_BYTES = 32u << 10;

class BlockingCalls;

/// One element of a batch, as a piece of a file and a piece of memory.
struct Element {
    const Region* storage;
    const Region* memory; ///< may be nullptr
    std::byte* address;
    uint64_t file_offset;
    uint64_t bytes;
    bool is_write;
    bool is_valid; ///< false: not between memory and a file; only is_write and bytes are set

    static Element at(const sdk::OpCursor& cursor) noexcept;
    [[nodiscard]] bool may_go_direct() const noexcept {
        return storage->may_go_direct(file_offset, bytes, address, is_write);
    }
    /// Whether one that may not go direct as a whole has a middle that is worth it. Writes are left
    /// whole: a cached end would keep all direct writes of the file waiting, see WritePhase.
    [[nodiscard]] bool may_split() const noexcept;
    /// Tells and counts that it goes through the page cache although its region is DIRECT.
    void tell_cached() const noexcept;
};

/// One element, or neighbours in the file that are moved by one call.
struct Operation {
    const Region* storage;
    const Region* memory; ///< of the first element; may be nullptr
    iovec* vectors; ///< of the elements that are left; one entry while the memory is contiguous
    uint64_t file_offset; ///< of the first element that is left
    uint64_t element_bytes;
    uint64_t first_element;
    uint32_t element_count; ///< left
    uint32_t span;
    int32_t error;        ///< known before the kernel was asked: an errno, else 0
    uint64_t part_bytes;  ///< of the next call, where one element takes several; else 0
    uint64_t moved_bytes; ///< by the calls before it
    bool is_write;
    bool is_split;     ///< a read with unaligned ends: they are cached, the middle is direct
    bool is_scattered; ///< one vector per element
    bool is_aligned;   ///< may go through the direct descriptor, see Region::may_go_direct()
    bool is_direct;    ///< goes there
    bool is_alone;     ///< one element per call from here on: the joined call did not end well
    bool is_waiting;   ///< for direct writes in flight, see WritePhase
    bool holds_phase;  ///< started in its file's WritePhase
    bool takes_turns;  ///< with the file's others of the sort, see Region::writes_in_turn
    bool is_brisk;     ///< counted as such while it is in the kernel
    bool is_in_kernel; ///< between Flow's next() and finish()
    bool is_counted;   ///< for its device, see Shares
    std::atomic<bool> is_dropped; ///< see BlockingCalls::drop()
    BlockingCalls* calls;         ///< where it blocks
    Operation* next_in_turn;      ///< see Strand

    /// Starts anew with the element at the cursor; `vectors` has room for MAX_VECTORS and stays.
    void begin(const sdk::OpCursor& cursor) noexcept;
    /// Takes in what follows in the file, up to `merge_bytes` in all. False: another operation's.
    [[nodiscard]] bool join(const Element& element, uint64_t merge_bytes) noexcept;
    /// The next call of a split one: up to the first aligned place, from there to the last one, or
    /// what is behind it.
    void choose_part() noexcept;
    /// So many elements at the front are over; some are left.
    void skip_elements(uint32_t count) noexcept;
    /// So many bytes of its one element are moved.
    void skip_bytes(uint64_t moved) noexcept;

    [[nodiscard]] uint32_t call_elements() const noexcept { return is_alone ? 1 : element_count; }
    [[nodiscard]] uint64_t call_bytes() const noexcept {
        return part_bytes != 0 ? part_bytes : call_elements() * element_bytes;
    }
    [[nodiscard]] uint32_t call_vectors() const noexcept {
        return is_scattered ? call_elements() : 1;
    }
    [[nodiscard]] bool is_small() const noexcept { return call_bytes() <= SMALL_BYTES; }
    [[nodiscard]] int fd() const noexcept {
        return is_direct ? storage->direct_fd : storage->cached_fd;
    }

  private:
    bool add_vector(const Element& element) noexcept;
    void advance(uint64_t bytes) noexcept;
};

} // namespace nixl::core::posix
