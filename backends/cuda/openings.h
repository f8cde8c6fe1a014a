// SPDX-License-Identifier: Apache-2.0
// Which GPUs may touch memory of another, where the memory keeps a list of them: mappings
// (cuMemMap) and pools (cuMemAllocAsync). Other memory is open to all with peer access.
#pragma once

#include <atomic>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <nixl/sdk/host.hpp>

#include "gpus.h"

namespace nixl::core::cuda {

struct Region;

/// What one region's list is, and who is known to be on it.
struct Sharing {
    enum class Sort : uint8_t {
        PEERS,  ///< no list: cuMemAlloc()
        MAPPED, ///< of each mapping
        POOLED, ///< of the pool
        UNKNOWN ///< copies alone: managed memory, and what this driver cannot tell
    } sort = Sort::UNKNOWN;

    Address mapped = 0; ///< MAPPED: all mappings that the region touches, whole
    uint64_t mapped_bytes = 0;

    [[nodiscard]] bool has_list() const noexcept {
        return sort == Sort::MAPPED || sort == Sort::POOLED;
    }
    /// A GPU by number. Where there is no list, nobody is kept off by one.
    [[nodiscard]] bool is_open_to(int number) const noexcept {
        return !has_list() || (on_list_.load(std::memory_order_relaxed) >> number & 1) != 0;
    }
    void note_open_to(int number) noexcept {
        on_list_.fetch_or(uint64_t{1} << number, std::memory_order_relaxed);
    }

  private:
    std::atomic<uint64_t> on_list_{0}; // by number; relaxed: set before regions are used there
};

/// Puts the GPUs that one open backend uses on the lists of its regions, both ways round: when a
/// region comes, those GPUs; when a GPU comes, on all regions'. Where the machine has no way
/// between two of them nothing is asked for, and the driver refuses copies between such memory.
///
/// Threads: any thread. Control path: some 10 ms for each GiB of mappings and GPU, which is what
/// cuMemAlloc() takes for the same.
class Openings {
  public:
    Openings(const sdk::Host& host, Gpus& gpus) noexcept : host_(host), gpus_(gpus) {}

    /// A region that inspect() has seen; its destructor takes it out.
    void add(Region* region) EXCLUDES(mutex_);
    void remove(const Region* region) EXCLUDES(mutex_);

  private:
    using Complaints = std::vector<std::string>; // for the log, once nothing is locked
    void add(Region* region, Complaints* complaints) EXCLUDES(mutex_);
    void open(Region& region, const Gpu& other, Complaints* complaints) REQUIRES(mutex_);

    const sdk::Host& host_;
    Gpus& gpus_;
    Mutex mutex_;
    uint64_t known_ GUARDED_BY(mutex_) = 0; ///< GPUs that were offered to all that are here
    std::vector<Region*> regions_ GUARDED_BY(mutex_);
    std::set<std::pair<int, int>> complained_ GUARDED_BY(mutex_); ///< whose memory, to whom
};

} // namespace nixl::core::cuda
