// SPDX-License-Identifier: Apache-2.0
#include "transfer/lists.h"

#include <algorithm>

#include "base/checked.h"
#include "transfer/request.h"

namespace nixl::core {

List::Place List::place(uint64_t number) const noexcept {
    size_t entry = flat ? number : 0;
    if (!flat && blocks.size() > 1)
        entry = static_cast<size_t>(
            std::upper_bound(first_numbers.begin(), first_numbers.end(), number) -
            first_numbers.begin() - 1);
    const nixl_block& block = blocks[entry];
    const uint64_t in_entry = number - first_numbers[entry];
    return {block.offset + in_entry * static_cast<uint64_t>(block.stride), block.bytes,
            block.buffer};
}

Result<void*> List::prepare(Backend& backend, std::span<const nixl_region> regions) {
    const auto& table = backend.table();
    if ((backend.caps().flags & NIXL_CAP_PREPARE) == 0 || table.prepare == nullptr)
        return static_cast<void*>(nullptr);
    NIXL_ASSIGN_OR_RETURN(void* instance, backend.instance());
    const MutexLock lock(mutex);
    for (const Prepared& made : prepared)
        if (made.backend == &backend)
            return made.list;
    ErrorText text;
    void* list = nullptr;
    const nixl_status status =
        table.prepare(instance, regions.data(), static_cast<uint32_t>(regions.size()),
                      blocks.data(), blocks.size(), -1, &list, text.out());
    if (status != NIXL_OK)
        return text.to_error(status, backend.name(), "prepare");
    prepared.push_back({list, &backend});
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

Result<nixl_list> ListTable::create(std::span<const nixl_buffer> buffers,
                                    std::span<const Region* const> regions,
                                    std::span<const nixl_block> blocks) {
    // The rules are those of runs: each block as a run from its buffer onto itself.
    std::vector<PairSizes> sizes;
    for (const Region* region : regions)
        sizes.push_back({region->bytes, region->bytes});
    uint64_t count = 0, bytes = 0, longest = 0;
    std::vector<uint64_t> firsts;
    firsts.reserve(blocks.size());
    for (size_t i = 0; i < blocks.size(); ++i) {
        const nixl_block& block = blocks[i];
        const nixl_run run{block.offset, block.offset, block.bytes,  block.stride,
                           block.stride, block.count,  block.buffer, 0};
        const RunCheck check = check_runs(std::span(&run, 1), sizes);
        firsts.push_back(count);
        if (check.code == Code::INVALID_ARGUMENT)
            return Error(check.code, "block " + std::to_string(i) +
                                         ": bytes and count must be at least 1 and buffer below " +
                                         std::to_string(buffers.size()));
        if (check.code != Code::OK || !checked_add(count, block.count, &count) ||
            !checked_add(bytes, check.bytes, &bytes) || count > UINT32_MAX)
            return Error(Code::OUT_OF_RANGE,
                         "block " + std::to_string(i) + " (offset " + std::to_string(block.offset) +
                             ", " + std::to_string(block.count) + " of " +
                             std::to_string(block.bytes) + " bytes, stride " +
                             std::to_string(block.stride) + ") does not fit its buffer");
        longest = std::max(longest, block.bytes);
    }
    List* list = slots_.take();
    if (list == nullptr)
        return Error(Code::AGAIN, "all " + std::to_string(MAX_LISTS) + " lists are in use",
                     "release lists that are no longer needed");
    list->buffers.assign(buffers.begin(), buffers.end());
    list->blocks.assign(blocks.begin(), blocks.end());
    list->first_numbers = std::move(firsts);
    list->count = count;
    list->bytes = bytes;
    list->longest = longest;
    list->flat = count == blocks.size();
    list->uniform = bytes == longest * count;
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

uint64_t IndexedLists::bytes_at(const Flight& flight, uint64_t element) const noexcept {
    return source->place(flight.batch.source_indices[element]).bytes;
}

nixl_run IndexedLists::run_at(const Flight& flight, uint64_t element,
                              uint64_t skip) const noexcept {
    return element_of(
        run(flight.batch.source_indices[element], flight.batch.target_indices[element]), 0, skip);
}

} // namespace nixl::core
