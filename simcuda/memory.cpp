// SPDX-License-Identifier: Apache-2.0
#include "memory.h"

namespace nixl::simcuda {

using core::cuda::Address;

Range& Memory::add(Range range) {
    range.id = ++last_id_;
    const Address start = range.start;
    return ranges_.insert_or_assign(start, std::move(range)).first->second;
}

Range* Memory::at(Address address) {
    auto next = ranges_.upper_bound(address);
    if (next == ranges_.begin())
        return nullptr;
    Range& range = std::prev(next)->second;
    return !range.closing && address - range.start < range.bytes ? &range : nullptr;
}

Range* Memory::from(Address start) {
    const auto found = ranges_.find(start);
    return found != ranges_.end() && !found->second.closing ? &found->second : nullptr;
}

bool Memory::overlaps(Address address, size_t bytes) {
    const auto next = ranges_.lower_bound(address);
    if (next != ranges_.end() && next->first - address < bytes)
        return true;
    return next != ranges_.begin() &&
           address - std::prev(next)->first < std::prev(next)->second.bytes;
}

void Memory::remove(Range& range, std::unique_lock<std::mutex>& lock,
                    std::condition_variable& progress) {
    range.closing = true;
    progress.wait(lock, [&] { return range.uses == 0; });
    ranges_.erase(range.start);
}

} // namespace nixl::simcuda
