// SPDX-License-Identifier: Apache-2.0
#include "instance.h"

#include <algorithm>
#include <utility>

#include "thread_queue.h"
#if NIXL_HAVE_IO_URING
#include "ring_tables.h"
#include "uring_queue.h"
#endif

namespace nixl::core::posix {
namespace {

// A region as large as this would take milliseconds to pin, inside a submit().
constexpr uint64_t MAX_REGISTERED_BUFFER_BYTES = 64u << 20;
constexpr uint64_t MIN_REGISTERED_BUFFER_BYTES = 4096;

std::string io_uring_refusal() {
#if NIXL_HAVE_IO_URING
    return uring_refusal();
#else
    return "io_uring is not built in (liburing was missing at build time)";
#endif
}

uint32_t take_last(std::vector<uint32_t>& slots) {
    if (slots.empty())
        return NO_SLOT;
    const uint32_t slot = slots.back();
    slots.pop_back();
    return slot;
}

} // namespace

Result<EngineDecision> decide_engine(const Options& options) {
    if (options.engine == EngineChoice::THREADS)
        return EngineDecision{Engine::THREADS, {}};
    const std::string refusal = io_uring_refusal();
    if (refusal.empty())
        return EngineDecision{Engine::IO_URING, {}};
    if (options.engine == EngineChoice::IO_URING)
        return Error(Code::UNSUPPORTED, refusal, "posix.engine=auto uses threads instead");
    return EngineDecision{Engine::THREADS, refusal + "; using threads"};
}

Instance::Instance(const sdk::Host& host, const Options& options, Engine engine)
    : host_(host), options_(options), engine_(engine),
      cached_counter_(host_.counter("posix.direct_elements_through_cache")),
      pool_(options.threads) {
#if NIXL_HAVE_IO_URING
    for (uint32_t slot = FILE_SLOTS; slot >= 2; slot -= 2)
        free_file_slots_.push_back(slot - 2);
    for (uint32_t slot = BUFFER_SLOTS; slot > 0; --slot)
        free_buffer_slots_.push_back(slot - 1);
#endif
}

Result<void> Instance::attach(const nixl_region_desc& desc, Region& region) {
    NIXL_RETURN_IF_ERROR(region.attach(desc));
    if (!region.not_direct.empty())
        tell_not_direct(region);
    // Threads start with the first file, so that an idle context has none.
    if (region.is_storage && engine_ == Engine::THREADS)
        NIXL_RETURN_IF_ERROR(pool_.start_all());
    MutexLock lock(mutex_);
    if (regions_.size() == regions_.capacity())
        regions_.reserve(2 * regions_.size() + 1);
    enter_file(region); // after it nothing may throw
    // One per file that is written is all that can be used, and one that a device leaves to others.
    if (auto started = pool_.start(region.writes_in_turn ? written_files_ + 1 : 0); !started.ok()) {
        leave_file(region);
        return started;
    }
    regions_.push_back(&region);
    region.owner = this;
    give_slots(region);
    for (const auto& open : queues_)
        open.queue->attached(region);
    return {};
}

void Instance::detach(const Region& region) noexcept {
    MutexLock lock(mutex_);
    regions_.erase(std::find(regions_.begin(), regions_.end(), &region));
    for (const auto& open : queues_)
        open.queue->detaching(region);
    take_slots(region);
    leave_file(region);
}

/// What a WARN about one region ends with; nullptr: enough of them. A program that opens the same
/// files again and again would fill its log.
const char* Instance::may_tell() noexcept {
    constexpr uint32_t MAX_LINES = 16;
    const uint32_t line = cached_lines_.fetch_add(1) + 1;
    if (line > MAX_LINES)
        return nullptr;
    return line < MAX_LINES
               ? ""
               : "; further regions are only counted (posix.direct_elements_through_cache)";
}

void Instance::tell_not_direct(const Region& region) noexcept {
    if (const char* const end = may_tell())
        host_.log(NIXL_LOG_WARN, __FILE__, __LINE__, "posix: %s goes through the page cache: %s%s",
                  region.name.c_str(), region.not_direct.c_str(), end);
}

void Instance::went_cached(const Region& region, bool for_memory, bool first) noexcept {
    host_.count(cached_counter_, 1);
    const char* const end = first ? may_tell() : nullptr; // a log line on the data path
    if (end == nullptr)
        return;
    const char* const what = for_memory ? "the memory of an element is no multiple of"
                                        : "offset or length of an element is no multiple of";
    host_.log(NIXL_LOG_WARN, __FILE__, __LINE__,
              "posix: %s is DIRECT, but %s %u bytes: such elements go through the page cache%s",
              region.name.c_str(), what,
              for_memory ? region.direct_memory_align_bytes : region.direct_offset_align_bytes,
              end);
}

void Instance::enter_file(Region& region) {
    if (!region.is_storage)
        return;
    ThreadPool::Group& device = devices_[region.file_identity().first];
    File& file = files_[region.file_identity()];
    if (file.regions++ == 0) // nobody looks at it yet
        file.threads.outer = &device;
    if (region.writes_in_turn && file.written_regions++ == 0)
        ++written_files_;
    region.file = &file;
}

void Instance::leave_file(const Region& region) noexcept {
    const auto found = region.is_storage ? files_.find(region.file_identity()) : files_.end();
    if (found == files_.end())
        return;
    File& file = found->second;
    if (region.writes_in_turn && --file.written_regions == 0)
        --written_files_;
    if (--file.regions != 0)
        return;
    files_.erase(found);
    const uint64_t device = region.file_identity().first;
    const auto next = files_.lower_bound({device, 0});
    if (next == files_.end() || next->first.first != device)
        devices_.erase(device);
}

void Instance::give_slots(Region& region) {
    if (region.is_storage)
        region.file_slot = take_last(free_file_slots_);
    else if (region.bytes >= MIN_REGISTERED_BUFFER_BYTES &&
             region.bytes <= std::min(MAX_REGISTERED_BUFFER_BYTES, options_.pinned_bytes))
        region.buffer_slot = take_last(free_buffer_slots_);
}

void Instance::take_slots(const Region& region) {
    if (region.file_slot != NO_SLOT)
        free_file_slots_.push_back(region.file_slot);
    if (region.buffer_slot != NO_SLOT)
        free_buffer_slots_.push_back(region.buffer_slot);
}

Result<std::unique_ptr<Queue>> Instance::make_queue(uint32_t depth, void* host_queue,
                                                    uint32_t number) {
    const QueueParts parts = {host_, options_, depth, host_queue, pool_, waiting_, number};
#if NIXL_HAVE_IO_URING
    if (engine_ == Engine::IO_URING) {
        auto ring = open_uring_queue(parts);
        if (ring.ok() || options_.engine != EngineChoice::AUTO)
            return ring;
        // Descriptors or memory may run out after the first queues, a sandbox may close later.
        NIXL_RETURN_IF_ERROR(pool_.start_all());
        if (!std::exchange(told_of_threads_, true))
            host_.log(NIXL_LOG_WARN, __FILE__, __LINE__, "posix: %s; a queue uses threads",
                      ring.error().message.c_str());
    }
#endif
    return open_thread_queue(parts);
}

Result<Queue*> Instance::open_queue(uint32_t depth_ops, void* host_queue) {
    const uint32_t depth =
        depth_ops == 0 ? options_.queue_depth_ops : std::min(depth_ops, options_.queue_depth_ops);
    MutexLock lock(mutex_);
    const uint32_t number = waiting_.add(host_queue);
    if (number == WaitingQueues::NONE)
        return Error(Code::AGAIN, "posix has " + std::to_string(WaitingQueues::MAX_QUEUES) +
                                      " open queues already");
    auto made = make_queue(depth, host_queue, number);
    if (!made.ok()) {
        waiting_.remove(number);
        return std::move(made).error();
    }
    for (const Region* const region : regions_)
        made.value()->attached(*region);
    queues_.push_back({std::move(made).value(), number});
    return queues_.back().queue.get();
}

void Instance::close_queue(const Queue* queue) noexcept {
    OpenQueue closing{}; // destroyed after the lock is given back
    MutexLock lock(mutex_);
    const auto found = std::find_if(queues_.begin(), queues_.end(),
                                    [&](const auto& open) { return open.queue.get() == queue; });
    closing = std::move(*found);
    queues_.erase(found);
    waiting_.remove(closing.number);
}

} // namespace nixl::core::posix
