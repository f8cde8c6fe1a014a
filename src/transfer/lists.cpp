// SPDX-License-Identifier: Apache-2.0
#include "transfer/lists.h"

#include <algorithm>

#include "base/checked.h"
#include "transfer/request.h"

namespace nixl::core {

List::Place List::place(uint64_t number) const noexcept {
    if (flat)
        return {blocks[number].offset, blocks[number].bytes, blocks[number].buffer};
    size_t entry = 0;
    if (blocks.size() > 1)
        entry = static_cast<size_t>(
            std::upper_bound(first_numbers.begin(), first_numbers.end(), number) -
            first_numbers.begin() - 1);
    const nixl_block& block = blocks[entry];
    const uint64_t in_entry = number - first_numbers[entry];
    return {block.offset + in_entry * static_cast<uint64_t>(block.stride), block.bytes,
            block.buffer};
}

Result<void*> List::prepare(Backend& backend, std::span<const nixl_region> regions,
                            int32_t accessing_device) {
    const auto& table = backend.table();
    if ((backend.caps().flags & NIXL_CAP_PREPARE) == 0 || table.prepare == nullptr)
        return static_cast<void*>(nullptr);
    NIXL_ASSIGN_OR_RETURN(void* instance, backend.instance());
    const MutexLock lock(mutex);
    for (const Prepared& made : prepared)
        if (made.backend == &backend && made.device == accessing_device)
            return made.list;
    ErrorText text;
    void* list = nullptr;
    const nixl_status status =
        table.prepare(instance, regions.data(), static_cast<uint32_t>(regions.size()),
                      blocks.data(), blocks.size(), accessing_device, &list, text.out());
    if (status != NIXL_OK)
        return text.to_error(status, backend.name(), "prepare");
    prepared.push_back({list, &backend, accessing_device});
    return list;
}

void List::unprepare() {
    const MutexLock lock(mutex);
    for (const Prepared& made : prepared)
        if (made.backend->opened()) // else it was closed or given up, and its lists with it
            if (auto instance = made.backend->instance(); instance.ok())
                made.backend->table().unprepare(instance.value(), made.list);
    prepared.clear();
}

bool List::hold(uint32_t wanted_generation) noexcept {
    // Add, then check, else undo; release() sets CLOSING only where it finds no request.
    const bool held =
        (requests.fetch_add(1) & CLOSING) == 0 && generation.load() == wanted_generation;
    if (!held)
        requests.fetch_sub(1);
    return held;
}

void ListTable::unprepare_all() {
    for (uint32_t i = 0; i < slots_.size(); ++i)
        if (slots_.at(i).live.load())
            slots_.at(i).unprepare();
}

namespace {

/// What the blocks of a list come to.
struct Summary {
    uint64_t count = 0, bytes = 0, longest = 0;
    bool is_progression = true; ///< alike, in one buffer, at equal distances

    /// Counts one more; false: too many.
    bool add(const nixl_block& block) noexcept {
        longest = std::max(longest, block.bytes);
        uint64_t more = 0;
        return !__builtin_mul_overflow(block.bytes, block.count, &more) &&
               checked_add(count, block.count, &count) && checked_add(bytes, more, &bytes) &&
               count <= UINT32_MAX;
    }
};

/// The usual block at a glance; others by the rules of runs, as a run from its buffer onto itself.
Code check_block(const nixl_block& block, std::span<const PairSizes> sizes) noexcept {
    if (block.count == 1 && block.buffer < sizes.size() && block.bytes != 0) {
        const uint64_t size = sizes[block.buffer].source_bytes;
        return block.bytes <= size && block.offset <= size - block.bytes ? Code::OK
                                                                         : Code::OUT_OF_RANGE;
    }
    const nixl_run run{block.offset, block.offset, block.bytes,  block.stride,
                       block.stride, block.count,  block.buffer, 0};
    return check_runs(std::span(&run, 1), sizes).code;
}

Error refuse_block(Code code, const nixl_block& block, size_t number, size_t buffers) {
    if (code == Code::INVALID_ARGUMENT)
        return Error(code, "block " + std::to_string(number) +
                               ": bytes and count must be at least 1 and buffer below " +
                               std::to_string(buffers));
    return Error(Code::OUT_OF_RANGE,
                 "block " + std::to_string(number) + " (offset " + std::to_string(block.offset) +
                     ", " + std::to_string(block.count) + " of " + std::to_string(block.bytes) +
                     " bytes, stride " + std::to_string(block.stride) +
                     ") does not fit its buffer");
}

Result<Summary> sum_up(std::span<const nixl_block> blocks, std::span<const PairSizes> sizes) {
    Summary summary;
    const uint64_t stride = blocks.size() > 1 ? blocks[1].offset - blocks[0].offset : 0;
    for (size_t i = 0; i < blocks.size(); ++i) {
        const nixl_block& block = blocks[i];
        const Code code = check_block(block, sizes);
        if (code != Code::OK || !summary.add(block))
            return refuse_block(code, block, i, sizes.size());
        summary.is_progression =
            summary.is_progression && block.count == 1 && block.bytes == blocks[0].bytes &&
            block.buffer == blocks[0].buffer && block.offset == blocks[0].offset + i * stride;
    }
    return summary;
}

/// Lists in fewer entries are smaller, and found by arithmetic.
void keep_blocks(List& list, std::span<const nixl_block> blocks, bool is_progression) {
    if (is_progression && blocks.size() > 1) {
        nixl_block all = blocks[0];
        all.stride = static_cast<int64_t>(blocks[1].offset - blocks[0].offset);
        all.count = blocks.size();
        list.blocks.assign(1, all);
    } else {
        list.blocks.assign(blocks.begin(), blocks.end());
    }
    list.flat = list.count == list.blocks.size();
    if (list.flat)
        return;
    uint64_t first = 0;
    for (const nixl_block& block : list.blocks) {
        list.first_numbers.push_back(first);
        first += block.count;
    }
}

} // namespace

Result<nixl_list> ListTable::create(std::span<const nixl_buffer> buffers,
                                    std::span<const Region* const> regions,
                                    std::span<const nixl_block> blocks) {
    std::vector<PairSizes> sizes;
    for (const Region* region : regions)
        sizes.push_back({region->bytes, region->bytes});
    NIXL_ASSIGN_OR_RETURN(const Summary summary, sum_up(blocks, sizes));
    List* list = slots_.take();
    if (list == nullptr)
        return Error(Code::AGAIN, "all " + std::to_string(MAX_LISTS) + " lists are in use",
                     "release lists that are no longer needed");
    list->buffers.assign(buffers.begin(), buffers.end());
    list->count = summary.count;
    list->bytes = summary.bytes;
    list->longest = summary.longest;
    list->uniform = summary.bytes == summary.longest * summary.count;
    keep_blocks(*list, blocks, summary.is_progression);
    list->requests.fetch_and(~List::CLOSING);
    list->live.store(true);
    return nixl_list{list->index, list->generation.load(std::memory_order_relaxed)};
}

Result<void> ListTable::release(nixl_list handle) {
    List* list = find(handle);
    uint32_t users = 0;
    if (list == nullptr ||
        (!list->requests.compare_exchange_strong(users, List::CLOSING) && users >= List::CLOSING))
        return Error(Code::STALE, "the list was released already");
    if (users != 0)
        return Error(Code::BUSY, std::to_string(users) + " request(s) still use the list",
                     "release the requests first");
    if (list->generation.load() != handle.generation) { // another one by now
        list->requests.fetch_and(~List::CLOSING);
        return Error(Code::STALE, "the list was released already");
    }
    SlotMap<List, 16>::retire(*list);
    list->live.store(false);
    list->unprepare();
    list->blocks = {};
    list->buffers = {};
    list->first_numbers = {};
    slots_.give(*list);
    return {};
}

bool have_same_shape(const List& a, const List& b) noexcept {
    return std::equal(a.blocks.begin(), a.blocks.end(), b.blocks.begin(), b.blocks.end(),
                      [](const nixl_block& one, const nixl_block& other) {
                          return one.count == other.count && one.bytes == other.bytes;
                      });
}

IndexedLists::~IndexedLists() {
    if (source != nullptr)
        source->requests.fetch_sub(1);
    if (target != nullptr)
        target->requests.fetch_sub(1);
}

nixl_run IndexedLists::run(uint64_t source_number, uint64_t target_number) const noexcept {
    const List::Place from = source->place(source_number), to = target->place(target_number);
    return {from.offset,
            to.offset,
            from.bytes == to.bytes ? from.bytes : 0,
            0,
            0,
            1,
            pair(from.buffer, to.buffer),
            0};
}

bool IndexedLists::do_blocks_match() const noexcept {
    if (source->count != target->count)
        return false;
    if (source->uniform && target->uniform)
        return source->longest == target->longest;
    if (have_same_shape(*source, *target))
        return true;
    // Written out already where one of them is a list of single blocks.
    const size_t entries = std::max(source->blocks.size(), target->blocks.size());
    if (source->count > std::max<uint64_t>(entries, MAX_EXPANDED))
        return false;
    for (uint64_t i = 0; i < source->count; ++i)
        if (source->place(i).bytes != target->place(i).bytes)
            return false;
    return true;
}

uint64_t IndexedLists::bytes_at(const Flight& flight, uint64_t element) const noexcept {
    const uint32_t* const indices = flight.batch.source_indices;
    return source->place(indices == nullptr ? element : indices[element]).bytes;
}

nixl_run IndexedLists::run_at(const Flight& flight, uint64_t element,
                              uint64_t skip) const noexcept {
    const nixl_batch& batch = flight.batch;
    const bool by_index = batch.source_indices != nullptr;
    return element_of(run(by_index ? batch.source_indices[element] : element,
                          by_index ? batch.target_indices[element] : element),
                      0, skip);
}

} // namespace nixl::core
