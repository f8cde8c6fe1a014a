// SPDX-License-Identifier: Apache-2.0
#include "memory/locked_pages.h"

#include <algorithm>
#include <cerrno>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "base/status.h"

namespace nixl::core {

LockedPages::Pages LockedPages::pages_of(const void* address, uint64_t bytes) noexcept {
    const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    const auto first = reinterpret_cast<uintptr_t>(address);
    // A range that ends in the last page of the address space has nothing behind it.
    const uintptr_t last = first + bytes - 1;
    return {first & ~(page - 1), (last | (page - 1)) + 1 == 0 ? last : (last | (page - 1)) + 1};
}

bool LockedPages::lock(const void* address, uint64_t bytes) {
    if (bytes == 0)
        return false;
    const MutexLock lock(mutex_);
    const auto mine = ranges_.insert(pages_of(address, bytes)); // first: it may throw
    if (::mlock(address, bytes) != 0) {
        ranges_.erase(mine);
        NIXL_LOG(DEBUG, "mlock of " + std::to_string(bytes) + " bytes: " + errno_text(errno) +
                            "; going on without (see ulimit -l)");
        return false;
    }
    return true;
}

void LockedPages::unlock(const void* address, uint64_t bytes) noexcept {
    const Pages pages = pages_of(address, bytes);
    const MutexLock lock(mutex_);
    const auto mine = ranges_.find(pages);
    if (mine == ranges_.end())
        return;
    ranges_.erase(mine);
    const auto unlock_pages = [](uintptr_t first, uintptr_t end) {
        if (first < end)
            ::munlock(reinterpret_cast<const void*>(first), end - first);
    };
    uintptr_t at = pages.first;
    for (const auto& [first, end] : ranges_) { // by their first byte
        if (first >= pages.second)
            break;
        if (end <= at)
            continue;
        unlock_pages(at, first);
        at = end;
    }
    unlock_pages(at, pages.second);
}

} // namespace nixl::core
