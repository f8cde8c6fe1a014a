// SPDX-License-Identifier: Apache-2.0
// The cold side of a lane: opening queues, ending requests early, sleeping and waking.
#include <bit>
#include <cerrno>

#include <poll.h>

#include "base/clock.h"
#include "base/futex.h"
#include "base/log.h"
#include "transfer/lane.h"
#include "transfer/pipeline.h"
#include "transfer/transfers.h"

namespace nixl::core {

Result<void> Lane::open_queue(LaneQueue& queue, uint32_t number_of_backend) noexcept {
    Backend& backend = *shared_.registry().backends()[number_of_backend];
    auto opened = backend.open_queue(backend.caps().max_depth, &queue); // 0: its own choice
    if (!opened.ok()) {
        NIXL_LOG(ERROR, opened.error().message);
        return std::move(opened).error();
    }
    queue.backend = &backend;
    queue.queue = opened.value();
    const auto& table = backend.table();
    const uint32_t bit = 1u << number_of_backend, flags = backend.caps().flags;
    movers_ |= table.move_now != nullptr && (flags & NIXL_CAP_NEVER_NOW) == 0 ? bit : 0;
    late_ |= (flags & NIXL_CAP_LATE) != 0 ? bit : 0;
    const int fd = table.queue_fd != nullptr ? table.queue_fd(queue.queue) : -1;
    if (fd >= 0 && !wake_) {
        if (auto made = EventFd::create(); made.ok())
            wake_.emplace(std::move(made).value());
    }
    queue.fd = wake_ ? fd : -1;
    queue.fd_lost = fd >= 0 && !wake_; // nothing could wake the sleeper: it is polled in slices
    return {};
}

void Lane::contract_broken(const LaneQueue& queue, const char* what) noexcept {
    const std::string text = "backend " + queue.backend->name() + " " + what;
    if (log_first_time(text))
        NIXL_LOG(ERROR, text + "; this is a bug of the backend");
}

void Lane::measure(Request& request, Code status) noexcept {
    if (request.completed_ns == 0) // the backend did not say
        request.completed_ns = now_ns();
    if (request.measured)
        shared_.telemetry().finished(request.completed_ns, request.bytes_done, status != Code::OK);
    if (request.staged_bytes != 0)
        shared_.telemetry().staged(request.staged_bytes);
}

void Lane::cancel(Request& request) noexcept {
    if (!request.load().in_flight() || request.cancelled)
        return;
    request.cancelled = request.stopped = true;
    const auto stop = [this](Flight& flight) {
        const LaneQueue& queue = queues_[flight.backend];
        if (flight.completed == flight.accepted())
            return;
        // One that cannot fence goes on to its end: CANCELLED must mean that nothing writes.
        const bool fences = (queue.backend->caps().flags & NIXL_CAP_CANCEL_FENCES) != 0;
        if (fences && queue.backend->table().cancel != nullptr)
            queue.backend->table().cancel(queue.queue, flight.batch.tag);
    };
    if (request.pipeline == nullptr)
        stop(request.direct);
    for (Flight* flight = request.flights; flight != nullptr; flight = flight->sibling)
        stop(*flight);
    retry_pending(); // drops what waits for room
}

void Lane::orphan(Request& request) noexcept {
    if (request.load().phase == Phase::POSTED) { // else its deadline reported it
        report(request, Code::CANCELLED, Phase::DRAINING);
        shared_.telemetry().abandoned(1);
    }
    disown(request);
    cancel(request); // its last completion frees the slot, maybe right here
}

void Lane::disown(Request& request) noexcept {
    request.orphaned = true;
    SlotMap<Request, 64>::retire(request);
    keep_watched(request);
    shared_.want_progress();
}

uint64_t Lane::expire(uint64_t now) noexcept {
    uint64_t next = 0;
    if (timed_ == 0)
        return next;
    for (Request *request = active_, *following = nullptr; request != nullptr;
         request = following) {
        following = request->active_next; // cancel() may end it
        const uint64_t deadline = request->deadline.load(std::memory_order_relaxed);
        if (deadline == 0 || request->load().phase != Phase::POSTED)
            continue;
        if (now < deadline) {
            next = next == 0 ? deadline : std::min(next, deadline);
            continue;
        }
        shared_.telemetry().abandoned(1);
        report(*request, Code::TIMED_OUT, Phase::DRAINING);
        keep_watched(*request);
        shared_.want_progress();
        cancel(*request);
        return expire(now); // the list may have changed; each round ends one more request
    }
    return next;
}

void Lane::cancel_all() noexcept {
    while (active_ != nullptr) {
        Request* request = active_;
        while (request != nullptr && request->cancelled)
            request = request->active_next;
        if (request == nullptr)
            return;
        cancel(*request);
    }
}

void Lane::report_stuck() noexcept {
    for (Request* request = active_; request != nullptr; request = request->active_next)
        if (request->load().phase == Phase::POSTED) {
            report(*request, Code::CANCELLED, Phase::DRAINING);
            shared_.telemetry().abandoned(1);
        }
}

void Lane::close_queues() noexcept {
    for (LaneQueue& queue : queues_) {
        if (queue.queue != nullptr && queue.in_flight == 0)
            queue.backend->table().queue_close(queue.queue);
        queue.queue = nullptr;
    }
    movers_ = late_ = 0;
}

Lane::Help Lane::assist() noexcept {
    for (uint32_t left = busy_queues_; left != 0; left &= left - 1) {
        const LaneQueue& queue = queues_[static_cast<size_t>(std::countr_zero(left))];
        const auto& table = queue.backend->table();
        if (table.assist == nullptr)
            continue;
        assisting_.store(true);
        const int helped = table.assist(queue.queue);
        assisting_.store(false);
        if (helped != 0)
            return helped == 2 ? Help::INTERRUPTED : Help::SOME;
    }
    return Help::NOTHING;
}

void Lane::wake(const LaneQueue& queue) noexcept {
    if (queue.backend != nullptr)
        woken_.fetch_or(1u << queue.backend->number);
    notify();
}

bool Lane::arm() noexcept {
    for (uint32_t left = busy_queues_; left != 0; left &= left - 1) {
        const LaneQueue& queue = queues_[static_cast<size_t>(std::countr_zero(left))];
        const auto& table = queue.backend->table();
        if (table.arm != nullptr && table.arm(queue.queue) == 0)
            return false;
    }
    armed_ = true;
    return true;
}

bool Lane::must_be_polled() const noexcept {
    for (const Flight* flight = pending_; flight != nullptr; flight = flight->next)
        if (queues_[flight->backend].in_flight == 0)
            return true; // refused though idle: no completion will tell when to offer it again
    for (uint32_t left = busy_queues_; left != 0; left &= left - 1) {
        const LaneQueue& queue = queues_[static_cast<size_t>(std::countr_zero(left))];
        if (queue.fd < 0 && (queue.backend->table().arm == nullptr || queue.fd_lost))
            return true;
    }
    return false;
}

void Lane::collect_fds(std::vector<int>& out) const {
    for (uint32_t left = fd_queues_.load(); left != 0; left &= left - 1)
        out.push_back(queues_[static_cast<size_t>(std::countr_zero(left))].fd);
}

void Lane::notify() noexcept {
    epoch_.fetch_add(1);
    if (sleepers_.load() != 0) {
        if (fd_sleeper_.load())
            wake_->signal();
        futex_wake_all(epoch_);
    }
    if (watched.exchange(false))
        shared_.want_progress();
}

Lane::Sleep Lane::sleep_now(uint32_t epoch, int64_t timeout_ns) noexcept {
    const uint32_t queues = fd_queues_.load();
    if (queues == 0 || fd_sleeper_.exchange(true)) {
        switch (futex_wait(epoch_, epoch, timeout_ns)) {
        case FutexResult::TIMED_OUT:
            return Sleep::TIMED_OUT;
        case FutexResult::INTERRUPTED:
            return Sleep::INTERRUPTED;
        case FutexResult::WOKEN:
            break;
        }
        return Sleep::WOKEN;
    }
    std::array<pollfd, MAX_BACKENDS + 1> polled{};
    nfds_t count = 0;
    polled[count++] = {wake_->fd(), POLLIN, 0};
    // After fd_sleeper_ is set: a queue that becomes busy from here on signals wake_.
    for (uint32_t left = fd_queues_.load(); left != 0; left &= left - 1)
        polled[count++] = {queues_[static_cast<size_t>(std::countr_zero(left))].fd, POLLIN, 0};
    Sleep result = Sleep::WOKEN;
    if (epoch_.load() == epoch) {
        timespec limit{static_cast<time_t>(timeout_ns / 1'000'000'000),
                       static_cast<long>(timeout_ns % 1'000'000'000)};
        const int ready = ::ppoll(polled.data(), count, timeout_ns < 0 ? nullptr : &limit, nullptr);
        if (ready == 0)
            result = Sleep::TIMED_OUT;
        else if (ready < 0 && errno == EINTR)
            result = Sleep::INTERRUPTED;
    }
    wake_->drain();
    fd_sleeper_.store(false);
    if (sleepers_.load() > 1) { // one of the others polls the descriptors next
        epoch_.fetch_add(1);
        futex_wake_all(epoch_);
    }
    return result;
}

} // namespace nixl::core
