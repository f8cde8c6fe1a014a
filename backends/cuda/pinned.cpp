// SPDX-License-Identifier: Apache-2.0
#include "pinned.h"

#include <unistd.h>

namespace nixl::core::cuda {
namespace {

struct Pages {
    uintptr_t begin, end;
};

Pages pages_of(uintptr_t address, uint64_t bytes) noexcept {
    static const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    return {address & ~(page - 1), (address + bytes + page - 1) & ~(page - 1)};
}

} // namespace

PinnedRanges::~PinnedRanges() {
    const MutexLock lock(mutex_);
    for (auto& [begin, range] : ranges_)
        range.users = 1;
    release(0, UINTPTR_MAX);
}

Result<std::vector<uintptr_t>> PinnedRanges::add(uintptr_t address, uint64_t bytes) {
    std::vector<uintptr_t> seams;
    if (bytes == 0)
        return seams;
    const Pages pages = pages_of(address, bytes);
    const MutexLock guard(mutex_);
    uintptr_t at = pages.begin;
    auto next = ranges_.upper_bound(at);
    if (next != ranges_.begin() && std::prev(next)->first + std::prev(next)->second.bytes > at)
        --next;
    while (at < pages.end) {
        if (at > address)
            seams.push_back(at);
        if (next != ranges_.end() && next->first <= at) {
            ++next->second.users;
            at = next->first + next->second.bytes;
            ++next;
            continue;
        }
        const uintptr_t end = next == ranges_.end() ? pages.end : std::min(pages.end, next->first);
        auto locked = lock(at, end - at);
        if (!locked.ok()) {
            release(pages.begin, at);
            return std::move(locked).error();
        }
        ranges_.emplace_hint(next, at, Range{end - at, 1, locked.value()});
        at = end;
    }
    return seams;
}

void PinnedRanges::remove(uintptr_t address, uint64_t bytes) noexcept {
    if (bytes == 0)
        return;
    const Pages pages = pages_of(address, bytes);
    const MutexLock guard(mutex_);
    release(pages.begin, pages.end);
}

/// True: the driver has it now; false: it had it before.
Result<bool> PinnedRanges::lock(uintptr_t address, uint64_t bytes) const {
    const CudaDriver& driver = gpus_.driver();
    NIXL_ASSIGN_OR_RETURN(Gpu * gpu, gpus_.use(0)); // portable: any context will do
    const CudaScope scope(driver, gpu->context);
    const CuResult result = driver.call.host_register(reinterpret_cast<void*>(address), bytes,
                                                      HOST_PORTABLE | HOST_DEVICE_MAP);
    if (result == CuResult::SUCCESS)
        return true;
    Address begin = 0;
    size_t length = 0;
    PointerAttribute which[] = {PointerAttribute::RANGE_START, PointerAttribute::RANGE_BYTES};
    void* out[] = {&begin, &length};
    if (result == CuResult::HOST_MEMORY_ALREADY_REGISTERED &&
        driver.call.pointer_attributes(2, which, out, address) == CuResult::SUCCESS &&
        begin <= address && begin + length >= address + bytes)
        return false;
    Error error = driver.error(result, "page-locking " + std::to_string(bytes) + " bytes");
    if (result == CuResult::OUT_OF_MEMORY)
        error.hint = "raise the limit of locked memory (ulimit -l)";
    if (result == CuResult::HOST_MEMORY_ALREADY_REGISTERED)
        error.hint = "a part of it was page-locked by the program; page-lock all of it, or nothing";
    return error;
}

/// One user less of every range that begins within.
void PinnedRanges::release(uintptr_t begin, uintptr_t end) noexcept {
    auto range = ranges_.upper_bound(begin);
    if (range != ranges_.begin() &&
        std::prev(range)->first + std::prev(range)->second.bytes > begin)
        --range;
    while (range != ranges_.end() && range->first < end) {
        if (--range->second.users != 0) {
            ++range;
            continue;
        }
        if (range->second.is_ours) {
            const auto gpu = gpus_.use(0);
            if (gpu.ok()) {
                const CudaScope scope(gpus_.driver(), gpu.value()->context);
                (void)gpus_.driver().call.host_unregister(reinterpret_cast<void*>(range->first));
            }
        }
        range = ranges_.erase(range);
    }
}

} // namespace nixl::core::cuda
