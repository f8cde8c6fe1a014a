// SPDX-License-Identifier: Apache-2.0
// HOT
#include "blocking_calls.h"

#include <cerrno>
#include <thread>

#include <sys/uio.h>

#include "base/futex.h"
#include "queue.h"

namespace nixl::core::posix {
namespace {

// After as many operations of one file, and what came with them, other files have their turn.
constexpr uint32_t SERVED_OPS = 64;

// The part of a queue's operations that are carried out without a wake-up, see is_quiet().
constexpr uint32_t QUIET_PART = 8;

int64_t transfer(const Operation& operation) noexcept {
    if (operation.is_dropped.load())
        return -ECANCELED;
    const auto offset = static_cast<off_t>(operation.file_offset);
    const auto count = static_cast<int>(operation.call_vectors());
    // A contiguous operation that goes on alone has all its elements in one vector.
    const iovec one = {operation.vectors->iov_base, operation.call_bytes()};
    const iovec* const vectors = count == 1 ? &one : operation.vectors;
    for (;;) {
        const ssize_t moved = operation.is_write ? ::pwritev(operation.fd(), vectors, count, offset)
                                                 : ::preadv(operation.fd(), vectors, count, offset);
        if (moved >= 0)
            return moved;
        if (errno != EINTR)
            return -errno;
    }
}

} // namespace

BlockingCalls::BlockingCalls(const sdk::Host& host, void* host_queue, ThreadPool& pool,
                             uint32_t most)
    : host_(host), host_queue_(host_queue), pool_(pool), most_quiet_(most / QUIET_PART),
      results_(most), refused_(most) {}

BlockingCalls::~BlockingCalls() {
    // The last result may be here before its thread has returned from host->wake(). That is a
    // matter of microseconds, and there is nothing to sleep on that the thread would not touch
    // afterwards.
    while (threads_inside_.load() != 0)
        std::this_thread::yield();
}

void BlockingCalls::start(Operation& operation) noexcept {
    operation.calls = this;
    operation.is_dropped.store(false);
    small_in_flight_ += operation.is_small() ? 1 : 0;
    threads_inside_.fetch_add(1);
    if (operation.takes_turns && !operation.storage->file->turns.push(operation))
        return;
    if (!offer(operation))
        refused_[refused_count_++] = &operation;
}

bool BlockingCalls::offer(Operation& operation) noexcept {
    File& file = *operation.storage->file;
    if (operation.takes_turns)
        return pool_.run({&file.threads, &work_in_turn, &end_turn, &pool_, &file});
    return pool_.run({&file.threads, &work_alone, &end_alone, &pool_, &operation});
}

void BlockingCalls::collect(Flow& flow, Sink& sink) noexcept {
    while (refused_count_ > 0 && offer(*refused_[refused_count_ - 1]))
        --refused_count_;
    Finished finished;
    while (sink.has_room() && results_.pop(&finished)) {
        ++taken_;
        small_in_flight_ -= finished.operation->is_small() ? 1 : 0;
        flow.finish(*finished.operation, finished.result, sink);
    }
}

int BlockingCalls::assist() noexcept {
    if (small_in_flight_ <= 1)
        return 0;
    const uint32_t bell = bell_.load();
    // Half of them: the threads have the other half to do while the driver wakes up.
    const uint32_t wanted = taken_ + small_in_flight_ / 2;
    rings_at_.store(wanted);
    // Told of before the line above: nobody rings.
    if (static_cast<int32_t>(told_.load() - wanted) < 0 &&
        futex_wait(bell_, bell, ASSIST_NS) == FutexResult::INTERRUPTED)
        return 2;
    return results_.is_empty() ? 0 : 1;
}

/// Whether nobody needs to wake up for it yet: the one that is carried out next belongs to the same
/// submit(), which is not over before, and it finds the driver's attention. A wake-up costs what
/// the copy of some 100 KiB does.
bool BlockingCalls::is_quiet(const Operation& operation, const Operation& next,
                             uint32_t quiet_before) noexcept {
    return operation.calls == next.calls && operation.span == next.span &&
           quiet_before + 1 < operation.calls->most_quiet_;
}

/// The operation's queue may be gone after it.
void BlockingCalls::tell(Operation& operation, int64_t result, bool wake) noexcept {
    BlockingCalls& calls = *operation.calls;
    calls.results_.push({&operation, result});
    if (calls.told_.fetch_add(1) + 1 == calls.rings_at_.load()) {
        calls.bell_.fetch_add(1);
        futex_wake_all(calls.bell_);
    }
    if (wake)
        calls.host_.wake(calls.host_queue_);
    calls.threads_inside_.fetch_sub(1);
}

int64_t BlockingCalls::work_alone(void*, void* operation) {
    return transfer(*static_cast<Operation*>(operation));
}

void BlockingCalls::end_alone(void*, void* operation, int64_t result) {
    tell(*static_cast<Operation*>(operation), result, true);
}

/// Tells of all but the last one: the file may be gone once nothing of it is in flight.
int64_t BlockingCalls::serve(File& file) noexcept {
    int64_t result = 0;
    uint32_t quiet = 0;
    file.turns.last = nullptr;
    for (uint32_t served = 0; served < SERVED_OPS;) {
        Operation* operation = file.turns.take();
        if (operation == nullptr)
            break;
        while (operation != nullptr) {
            Operation* const next = operation->next_in_turn;
            if (file.turns.last != nullptr) {
                const bool wake = !is_quiet(*file.turns.last, *operation, quiet);
                quiet = wake ? 0 : quiet + 1;
                tell(*file.turns.last, result, wake);
            }
            result = transfer(*operation);
            file.turns.last = operation;
            operation = next;
            ++served;
        }
    }
    return result;
}

int64_t BlockingCalls::work_in_turn(void*, void* file) { return serve(*static_cast<File*>(file)); }

void BlockingCalls::end_turn(void* pool, void* argument, int64_t result) {
    auto& file = *static_cast<File*>(argument);
    auto& threads = *static_cast<ThreadPool*>(pool);
    Operation* last = file.turns.last;
    // What came meanwhile goes behind the jobs of other files, unless these fill the pool.
    while (!file.turns.rest() &&
           !threads.run({&file.threads, &work_in_turn, &end_turn, pool, argument})) {
        tell(*last, result, true);
        result = serve(file);
        last = file.turns.last;
    }
    tell(*last, result, true);
}

} // namespace nixl::core::posix
