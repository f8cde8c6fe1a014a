// SPDX-License-Identifier: Apache-2.0
// One opened posix backend: its engine, the regions attached to it and the queues that serve them.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/annotations.h"
#include "base/status.h"
#include "options.h"
#include "queue.h"
#include "region.h"
#include "thread_pool.h"
#include "waiting_queues.h"

namespace nixl::core::posix {

enum class Engine : uint8_t { IO_URING, THREADS };

struct EngineDecision {
    Engine engine = Engine::THREADS;
    std::string
        reason; ///< why it is not io_uring; empty when it is, or when threads were asked for
};

/// Errors: UNSUPPORTED io_uring was asked for by name and does not work here.
Result<EngineDecision> decide_engine(const Options& options);

/// Threads: any thread.
class Instance final : private RegionOwner {
  public:
    Instance(const sdk::Host& host, const Options& options, Engine engine);

    /// Fills `region`, which the caller owns; its end detaches it.
    Result<void> attach(const nixl_region_desc& desc, Region& region) EXCLUDES(mutex_);

    Result<Queue*> open_queue(uint32_t depth_ops, void* host_queue) EXCLUDES(mutex_);
    void close_queue(const Queue* queue) noexcept EXCLUDES(mutex_);

  private:
    void detach(const Region& region) noexcept override EXCLUDES(mutex_);
    void went_cached(const Region& region, bool for_memory, bool first) noexcept override;
    void tell_not_direct(const Region& region) noexcept;
    [[nodiscard]] const char* may_tell() noexcept;
    void give_slots(Region& region) REQUIRES(mutex_);
    void take_slots(const Region& region) REQUIRES(mutex_);
    void enter_file(Region& region) REQUIRES(mutex_);
    void leave_file(const Region& region) noexcept REQUIRES(mutex_);
    Result<std::unique_ptr<Queue>> make_queue(uint32_t depth, void* host_queue, uint32_t number)
        REQUIRES(mutex_);

    const sdk::Host host_;
    const Options options_;
    const Engine engine_;
    const uint32_t cached_counter_;
    ThreadPool pool_;
    WaitingQueues waiting_{host_};
    Mutex mutex_; // held over the registration calls of the rings, never over a data path call
    std::vector<const Region*> regions_ GUARDED_BY(mutex_);
    std::map<std::pair<uint64_t, uint64_t>, File> files_ GUARDED_BY(mutex_); // by file_identity()
    std::map<uint64_t, ThreadPool::Group> devices_ GUARDED_BY(mutex_);       // by its first part
    uint32_t written_files_ GUARDED_BY(mutex_) = 0;
    struct OpenQueue {
        std::unique_ptr<Queue> queue;
        uint32_t number; // in waiting_
    };
    std::vector<OpenQueue> queues_ GUARDED_BY(mutex_);
    bool told_of_threads_ GUARDED_BY(mutex_) = false;
    std::atomic<uint32_t> cached_lines_{0}; // log lines about the page cache, see may_tell()
    std::vector<uint32_t> free_file_slots_ GUARDED_BY(mutex_);
    std::vector<uint32_t> free_buffer_slots_ GUARDED_BY(mutex_);
};

} // namespace nixl::core::posix
