// SPDX-License-Identifier: Apache-2.0
// HOT
#include "entry_list.h"

#include <algorithm>
#include <cstring>

namespace nixl::core::cuda {

/// Long ones in parts, so that workers share them.
void EntryList::add_front(uint64_t source, uint64_t target, uint64_t bytes) noexcept {
    while (bytes != 0) {
        const uint64_t part = std::min(bytes, PART_BYTES);
        entries_[front_++] = {source, target, part};
        source += part;
        target += part;
        bytes -= part;
    }
}

void EntryList::add_odd(uint64_t source, uint64_t target, uint64_t bytes) noexcept {
    if (!is_in_step(source, target, bytes)) {
        for (uint64_t at = 0; at < bytes; at += PART_BYTES)
            add_back(source + at, target + at, std::min(bytes - at, PART_BYTES));
        return;
    }
    const uint64_t head = (0 - source) & ODD, tail = (source + bytes) & ODD;
    add_back(source, target, head);
    add_front(source + head, target + head, bytes - head - tail);
    add_back(source + bytes - tail, target + bytes - tail, tail);
}

uint64_t EntryList::add_single_runs(const nixl_run* runs, uint64_t count, uint64_t source_base,
                                    uint64_t target_base, uint64_t* bytes) noexcept {
    // Members would be read again after every entry that is written.
    ListEntry* const out = entries_ + front_;
    const uint64_t odd = for_bulk_ ? ODD : 0, most = std::min(count, back_ - front_);
    const uint32_t pair = runs->pair;
    uint64_t done = 0, sum = 0;
    for (; done < most; ++done) {
        const nixl_run& run = runs[done];
        const uint64_t source = source_base + run.source_offset,
                       target = target_base + run.target_offset;
        if (run.count != 1 || run.pair != pair || run.bytes > PART_BYTES ||
            ((source | target | run.bytes) & odd) != 0)
            break;
        out[done] = {source, target, run.bytes};
        sum += run.bytes;
    }
    front_ += done;
    *bytes += sum;
    return done;
}

void EntryList::close() noexcept {
    if (back_ != capacity_ && back_ != front_)
        std::memmove(entries_ + front_, entries_ + back_, back_count() * sizeof(ListEntry));
}

} // namespace nixl::core::cuda
