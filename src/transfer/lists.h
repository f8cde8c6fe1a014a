// SPDX-License-Identifier: Apache-2.0
// Prepared lists of blocks on one side, and requests that pick blocks of two of them by index.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <nixl/nixl_c.h>

#include "base/annotations.h"
#include "memory/region.h"
#include "transfer/runs.h"

namespace nixl::core {

struct Flight;
struct Request;

/// Threads: immutable while its generation lives, but for the count of requests and what backends
/// keep.
struct List : Slot {
    std::vector<nixl_buffer> buffers;
    std::vector<nixl_block> blocks;
    std::vector<uint64_t> first_numbers; ///< number of each entry's first block
    uint64_t count = 0;                  ///< blocks in all
    uint64_t bytes = 0;
    uint64_t longest = 0;
    bool flat = false;                 ///< entry i is block i; first_numbers is empty then
    bool uniform = false;              ///< all blocks have the same length
    std::atomic<uint32_t> requests{0}; ///< and CLOSING
    static constexpr uint32_t CLOSING = 1u << 31;
    std::atomic<bool> live{false};
    struct Prepared {
        void* list = nullptr;
        Backend* backend = nullptr;
        int32_t device = -1; ///< the accessing one
    };
    Mutex mutex;
    /// One per backend that keeps its own form, and accessing device.
    std::vector<Prepared> prepared GUARDED_BY(mutex);

    struct Place {
        uint64_t offset, bytes;
        uint32_t buffer;
    };
    [[nodiscard]] Place place(uint64_t number) const noexcept;
    /// Counts one more request, which IndexedLists takes back. False when the handle is stale.
    [[nodiscard]] bool hold(uint32_t wanted_generation) noexcept;
    /// The backend's own form of the list; nullptr when it keeps none.
    Result<void*> prepare(Backend& backend, std::span<const nixl_region> regions,
                          int32_t accessing_device) EXCLUDES(mutex);
    void unprepare() EXCLUDES(mutex);
};

/// Blocks of lists of different shape that are written out, or compared, one by one; longer lists
/// of that kind are posted by index alone.
inline constexpr uint64_t MAX_EXPANDED = 1u << 20;

/// Whether they are equal, entry by entry, but for where the blocks lie.
[[nodiscard]] bool have_same_shape(const List& a, const List& b) noexcept;

/// Threads: any thread.
class ListTable {
  public:
    static constexpr uint32_t MAX_LISTS = 65536;
    ListTable() : slots_(MAX_LISTS) {}

    /// Errors: INVALID_ARGUMENT an empty block or a buffer number out of range; OUT_OF_RANGE a
    /// block outside its buffer, STALE a freed buffer.
    Result<nixl_list> create(std::span<const nixl_buffer> buffers,
                             std::span<const Region* const> regions,
                             std::span<const nixl_block> blocks);
    [[nodiscard]] List* find(nixl_list handle) noexcept {
        return slots_.find(handle.index, handle.generation);
    }
    Result<void> release(nixl_list handle);
    /// Before the backends are closed.
    void unprepare_all();

  private:
    SlotMap<List, 16> slots_;
};

/// What a request over two lists keeps. Indices are copied at the post; nothing is allocated once
/// the largest count was seen.
struct IndexedLists {
    List* source = nullptr;
    List* target = nullptr;
    void* prepared_source = nullptr; ///< when the backend walks its own lists
    void* prepared_target = nullptr;
    std::vector<uint32_t> source_indices,
        target_indices;         ///< of the present post, for such backends
    std::vector<nixl_run> runs; ///< of the present post, for the others
    /// Every block, for posts without indices; no elements: the blocks do not match.
    RunView all;

    ~IndexedLists();
    [[nodiscard]] bool by_backend() const noexcept { return prepared_source != nullptr; }
    /// Whether each block of one is as long as that of the same number of the other.
    [[nodiscard]] bool do_blocks_match() const noexcept;
    /// Bytes of the longest block of either.
    [[nodiscard]] uint64_t longest() const noexcept {
        return source->longest > target->longest ? source->longest : target->longest;
    }
    [[nodiscard]] uint32_t pair(uint32_t source_buffer, uint32_t target_buffer) const noexcept {
        return source_buffer * static_cast<uint32_t>(target->buffers.size()) + target_buffer;
    }
    /// One block to one block; bytes 0 when their sizes differ.
    [[nodiscard]] nixl_run run(uint64_t source_number, uint64_t target_number) const noexcept;
    /// For flights of prepared lists: the element's length, and its rest as a run.
    [[nodiscard]] uint64_t bytes_at(const Flight& flight, uint64_t element) const noexcept;
    [[nodiscard]] nixl_run run_at(const Flight& flight, uint64_t element,
                                  uint64_t skip) const noexcept;
};

} // namespace nixl::core
