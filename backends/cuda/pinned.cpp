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

/// In the context of some GPU that works: the registrations are portable.
template <typename Call> CuResult PinnedRanges::on_any(Call call) const {
    CuResult result = CuResult::NO_DEVICE;
    for (uint32_t tries = 0; tries <= gpus_.driver().devices; ++tries) {
        const auto gpu = gpus_.any();
        if (!gpu.ok())
            return static_cast<CuResult>(gpu.error().detail);
        const CudaScope scope(gpus_.driver(), gpu.value()->context);
        result = scope.result == CuResult::SUCCESS ? call(gpus_.driver().call) : scope.result;
        gpu.value()->note(result);
        if (!is_device_lost(result))
            break;
    }
    return result;
}

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
    for (uintptr_t at = span.begin; at < span.end; ++next) {
        if (at > address)
            added.seams.push_back(at);
        auto done =
            added.seams.size() > MAX_SEAMS
                ? Result<void>(Error(Code::UNSUPPORTED,
                                     "the buffer lies over more than " + std::to_string(MAX_SEAMS) +
                                         " others that are page-locked one by one",
                                     "make the buffer that covers them first"))
                : take_part(&next, {at, span.end}, read_only);
        if (!done.ok()) {
            release({span.begin, at});
            return std::move(done).error();
        }
        at = std::min(span.end, next->second.end);
    }
    return added;
}

/// From the first byte of the part on as far as one registration goes, that of *next or a new one,
/// which *next is then.
Result<void> PinnedRanges::take_part(Ranges::iterator* next, Span part, bool read_only) {
    auto& range = *next;
    if (range != ranges_.end() && range->first <= part.begin && range->second.users.empty()) {
        if (!unlock(range->first))
            return Error(Code::BUSY, "the driver does not give this memory back",
                         "use other memory, or end the process");
        range = ranges_.erase(range);
    }
    if (range != ranges_.end() && range->first <= part.begin) {
        part = cut(part, part.begin, range->second.end);
        NIXL_RETURN_IF_ERROR(share(range->second, part, read_only));
    } else {
        part.end = range == ranges_.end() ? part.end : std::min(part.end, range->first);
        NIXL_ASSIGN_OR_RETURN(const bool is_read_only, lock(part, read_only));
        range = ranges_.emplace_hint(range, part.begin, Range{part.end, is_read_only, {}});
    }
    range->second.users.push_back(part);
    return {};
}

/// The first range that does not end before the address.
PinnedRanges::Ranges::iterator PinnedRanges::first_behind(uintptr_t address) {
    auto next = ranges_.upper_bound(address);
    return next != ranges_.begin() && std::prev(next)->second.end > address ? std::prev(next)
                                                                            : next;
}

/// A registration that outlives the buffer that it was made for may hold pages that are mapped
/// there no longer. What lives now and covers the part vouches for it.
Result<void> PinnedRanges::share(const Range& range, Span part, bool read_only) {
    if (range.is_read_only && !read_only)
        return Error(Code::PERMISSION_DENIED,
                     "memory of this buffer is page-locked for reading alone, by another one",
                     "make the buffer READ_ONLY, or free the other first");
    if (is_covered(part, range.users))
        return {};
    return Error(Code::BUSY,
                 "memory of this buffer was page-locked with another one, which was freed, and "
                 "buffers that share its bytes keep it so",
                 "free those first, or keep the buffer that covers them all");
}

/// Whether it had to be for reading alone.
Result<bool> PinnedRanges::lock(Span span, bool read_only) const {
    const auto attempt = [&](unsigned more_flags) {
        return on_any([&](const Calls& call) {
            return call.host_register(reinterpret_cast<void*>(span.begin), span.end - span.begin,
                                      HOST_PORTABLE | HOST_DEVICE_MAP | more_flags);
        });
    };
    CuResult result = attempt(0);
    const bool for_reading = result == CuResult::INVALID_VALUE && read_only;
    if (for_reading)
        result = attempt(HOST_READ_ONLY);
    if (result == CuResult::SUCCESS)
        return for_reading;
    Error error = gpus_.driver().error(
        result, "page-locking " + std::to_string(span.end - span.begin) + " bytes");
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
    return on_any([&](const Calls& call) {
               return call.host_unregister(reinterpret_cast<void*>(begin));
           }) == CuResult::SUCCESS;
}

} // namespace nixl::core::cuda
