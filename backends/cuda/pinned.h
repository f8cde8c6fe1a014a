// SPDX-License-Identifier: Apache-2.0
// Host memory that the driver has page-locked, so that GPUs reach it without a copy.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/annotations.h"
#include "gpus.h"

namespace nixl::core::cuda {

/// From the first byte to behind the last.
struct Span {
    uintptr_t begin, end;
    bool operator==(const Span&) const = default;
};

/// Bytes are registered once, however many buffers share them, since the driver refuses them twice.
/// No byte more than those of buffers: a copy of the program's own that begins in registered memory
/// and ends beyond it would be refused (H200, driver 580; it takes several ranges in one page).
///
/// Threads: any thread.
class PinnedRanges {
  public:
    explicit PinnedRanges(Gpus& gpus) : gpus_(gpus) {}
    ~PinnedRanges();
    PinnedRanges(const PinnedRanges&) = delete;
    PinnedRanges& operator=(const PinnedRanges&) = delete;

    struct Added {
        bool is_ours = false; ///< to be given to remove(); else the program has page-locked it
        /// Where, inside, one registration ends and the next begins: no copy may go across.
        std::vector<uintptr_t> seams;
    };
    /// `read_only`: the memory may be mapped so.
    /// Errors: NO_MEMORY the limit of locked memory (`ulimit -l`); BUSY bytes whose registration
    /// outlives the buffer that it was made for; PERMISSION_DENIED bytes that are locked for
    /// reading alone; UNSUPPORTED memory in more than MAX_SEAMS parts; the driver's.
    Result<Added> add(uintptr_t address, uint64_t bytes, bool read_only) EXCLUDES(mutex_);
    void remove(uintptr_t address, uint64_t bytes) noexcept EXCLUDES(mutex_);

  private:
    /// More parts than this are no memory to copy from.
    static constexpr size_t MAX_SEAMS = 256;

    struct Range {
        uintptr_t end;
        bool is_read_only; ///< GPUs may not write to it
        std::vector<Span>
            users; ///< the parts that buffers cover; empty: it could not be given back
    };
    using Ranges = std::map<uintptr_t, Range>; // disjoint, by first byte

    Ranges::iterator first_behind(uintptr_t address) REQUIRES(mutex_);
    Result<void> take_part(Ranges::iterator* next, Span part, bool read_only) REQUIRES(mutex_);
    static Result<void> share(const Range& range, Span part, bool read_only);
    Result<bool> lock(Span span, bool read_only) const;
    [[nodiscard]] bool is_locked_by_program(Span span) const noexcept;
    void release(Span span) noexcept REQUIRES(mutex_);
    bool unlock(uintptr_t begin) const noexcept;
    template <typename Call> CuResult on_any(Call call) const;

    Gpus& gpus_;
    Mutex mutex_; // held over the driver's registering, which takes milliseconds
    Ranges ranges_ GUARDED_BY(mutex_);
};

} // namespace nixl::core::cuda
