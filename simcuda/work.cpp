// SPDX-License-Identifier: Apache-2.0
#include "work.h"

#include <vector>

namespace nixl::simcuda {

using core::cuda::Address;

Work::~Work() {
    if (used_.empty())
        return;
    const std::lock_guard lock(driver_.mutex);
    for (Range* const range : used_)
        --range->uses;
    driver_.progress.notify_all();
}

std::byte* Work::reach(Address address, size_t bytes, bool writes, Engine engine) {
    const std::lock_guard lock(driver_.mutex);
    std::vector<Range*> ranges;
    const bool allowed = driver_.memory.covers(address, bytes, [&](Range& range) {
        ranges.push_back(&range);
        return may_touch(range, writes, engine);
    });
    if (!allowed)
        return nullptr;
    for (Range* const range : ranges)
        if (used_.insert(range).second)
            ++range->uses;
    return ranges.front()->alias + (address - ranges.front()->start);
}

bool Work::may_touch(const Range& range, bool writes, Engine engine) const {
    if (range.sort == Sort::DEVICE)
        return engine == Engine::COPY || range.gpu == &gpu_ || (gpu_.peers & range.gpu->bit()) != 0;
    return !range.is_closed_to(gpu_, writes);
}

} // namespace nixl::simcuda
