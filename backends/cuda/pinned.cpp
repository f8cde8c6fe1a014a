// SPDX-License-Identifier: Apache-2.0
#include "pinned.h"

#include <algorithm>

namespace nixl::core::cuda {
namespace {

Span cut(Span span, uintptr_t begin, uintptr_t end) noexcept {
    return {std::max(span.begin, begin), std::min(span.end, end)};
}

/// Whether buffers that live now cover all of it.
bool is_covered(Span span, std::vector<Span> users) {
    std::sort(users.begin(), users.end(),
              [](const Span& a, const Span& b) { return a.begin < b.begin; });
    for (const Span& user : users)
        if (user.begin <= span.begin)
            span.begin = std::max(span.begin, user.end);
    return span.begin >= span.end;
}

} // namespace

PinnedRanges::~PinnedRanges() {
    const MutexLock guard(mutex_);
    for (const auto& [begin, range] : ranges_)
        (void)unlock(begin);
}

Result<PinnedRanges::Added> PinnedRanges::add(uintptr_t address, uint64_t bytes, bool read_only) {
    Added added;
    if (bytes == 0)
        return added;
    const Span span{address, address + bytes};
    const MutexLock guard(mutex_);
    auto next = first_behind(span.begin);
    if ((next == ranges_.end() || next->first >= span.end) && is_locked_by_program(span))
        return added;
    added.is_ours = true;
    for (uintptr_t at = span.begin; at < span.end;) {
        if (at > address)
            added.seams.push_back(at);
        const bool is_known = next != ranges_.end() && next->first <= at;
        const uintptr_t gap_end = next == ranges_.end() ? span.end : next->first;
        const Span part = cut(span, at, is_known ? next->second.end : gap_end);
        auto done = is_known ? share(next, part) : lock(part, read_only);
        if (!done.ok()) {
            release({span.begin, at});
            return std::move(done).error();
        }
        if (!is_known)
            next = ranges_.emplace_hint(next, at, Range{part.end, {}});
        next->second.users.push_back(part);
        at = part.end;
        ++next;
    }
    return added;
}

/// The first range that does not end before the address.
PinnedRanges::Ranges::iterator PinnedRanges::first_behind(uintptr_t address) {
    auto next = ranges_.upper_bound(address);
    return next != ranges_.begin() && std::prev(next)->second.end > address ? std::prev(next)
                                                                            : next;
}

/// A registration that outlives the buffer that it was made for may hold pages that are mapped
/// there no longer. What lives now and covers the part vouches for it.
Result<void> PinnedRanges::share(Ranges::iterator range, Span span) const {
    if (range->second.users.empty() || is_covered(span, range->second.users))
        return {};
    return Error(Code::BUSY,
                 "memory of this buffer was page-locked with another one, which was freed, and "
                 "buffers that share its bytes keep it so",
                 "free those first, or keep the buffer that covers them all");
}

Result<void> PinnedRanges::lock(Span span, bool read_only) const {
    constexpr unsigned FLAGS = HOST_PORTABLE | HOST_DEVICE_MAP;
    const CudaDriver& driver = gpus_.driver();
    NIXL_ASSIGN_OR_RETURN(Gpu * gpu, gpus_.any()); // portable: any context will do
    const CudaScope scope(driver, gpu->context);
    void* const address = reinterpret_cast<void*>(span.begin);
    CuResult result = driver.call.host_register(address, span.end - span.begin, FLAGS);
    if (result == CuResult::INVALID_VALUE && read_only)
        result = driver.call.host_register(address, span.end - span.begin, FLAGS | HOST_READ_ONLY);
    if (result == CuResult::SUCCESS)
        return {};
    Error error =
        driver.error(result, "page-locking " + std::to_string(span.end - span.begin) + " bytes");
    if (result == CuResult::OUT_OF_MEMORY)
        error.hint = "raise the limit of locked memory (ulimit -l)";
    else if (!is_device_lost(result))
        error.hint = "page-lock all of it in the program, or nothing";
    return error;
}

bool PinnedRanges::is_locked_by_program(Span span) const noexcept {
    uint32_t type = MEMORY_UNKNOWN;
    Address begin = 0;
    size_t bytes = 0;
    PointerAttribute which[] = {PointerAttribute::MEMORY_TYPE, PointerAttribute::RANGE_START,
                                PointerAttribute::RANGE_BYTES};
    void* out[] = {&type, &begin, &bytes};
    return gpus_.driver().call.pointer_attributes(3, which, out, span.begin) == CuResult::SUCCESS &&
           type == MEMORY_HOST && begin <= span.begin && begin + bytes >= span.end;
}

void PinnedRanges::remove(uintptr_t address, uint64_t bytes) noexcept {
    const Span span{address, address + bytes};
    const MutexLock guard(mutex_);
    if (bytes != 0)
        release(span);
}

void PinnedRanges::release(Span span) noexcept {
    auto range = first_behind(span.begin);
    while (range != ranges_.end() && range->first < span.end) {
        auto& users = range->second.users;
        const auto user =
            std::find(users.begin(), users.end(), cut(span, range->first, range->second.end));
        if (user != users.end())
            users.erase(user);
        // One that cannot be given back is kept, so that nobody takes it for the program's.
        range = users.empty() && unlock(range->first) ? ranges_.erase(range) : std::next(range);
    }
}

bool PinnedRanges::unlock(uintptr_t begin) const noexcept {
    const auto gpu = gpus_.any();
    if (!gpu.ok())
        return false;
    const CudaScope scope(gpus_.driver(), gpu.value()->context);
    return gpus_.driver().call.host_unregister(reinterpret_cast<void*>(begin)) == CuResult::SUCCESS;
}

} // namespace nixl::core::cuda
