// SPDX-License-Identifier: Apache-2.0
// What is said of transfers, and how all of them come to an end.
#include <algorithm>
#include <vector>

#include <poll.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "transfer/progress.h"
#include "transfer/transfers.h"

namespace nixl::core {

namespace {

constexpr int64_t SLICE_NS = 1'000'000;

/// The provider's own code, in the system's words or its own.
std::string detail_text(Code status, int32_t detail, const Backend& backend) {
    if (detail == 0)
        return code_name(status);
    if ((backend.caps().flags & NIXL_CAP_ERRNO) != 0)
        return errno_text(detail);
    if (void* const instance = backend.open_instance();
        instance != nullptr && backend.table().text_of != nullptr) {
        ErrorText words;
        backend.table().text_of(instance, detail, words.out());
        if (words.text()[0] != '\0')
            return words.text();
    }
    return std::string(code_name(status)) + ", the backend's code " + std::to_string(detail);
}

} // namespace

bool Transfers::drive() noexcept {
    bool moved = false;
    for (const auto& lane : lanes_) {
        if (!lane->try_enter())
            continue;
        moved |= lane->progress();
        lane->expire(now_ns());
        lane->leave();
    }
    return moved;
}

void Transfers::waiter_left() noexcept { progress_->waiter_left(); }

bool Transfers::drive_until(bool (*done)(void*), void* argument, uint64_t deadline) noexcept {
    const bool is_done = drive_until_done(done, argument, deadline);
    waiter_left();
    return is_done;
}

bool Transfers::drive_until_done(bool (*done)(void*), void* argument, uint64_t deadline) noexcept {
    for (;;) {
        const bool moved = drive();
        if (done(argument))
            return true;
        if (waits_refused_.load(std::memory_order_relaxed))
            return false;
        const int64_t left = remaining_ns(deadline);
        if (left == 0)
            return false;
        if (moved)
            continue;
        std::vector<int> fds;
        bool again = false;
        for (const auto& lane : lanes_) {
            if (!lane->try_enter()) {
                again = true;
                continue;
            }
            again |= lane->assist() != Lane::Help::NOTHING || !lane->arm();
            lane->collect_fds(fds);
            lane->leave();
        }
        if (again)
            continue;
        std::vector<pollfd> polled;
        for (const int fd : fds)
            polled.push_back({fd, POLLIN, 0});
        // In slices: what has no descriptor (workers, a seeded delay) is looked at again soon.
        const int64_t slice = left < 0 ? SLICE_NS : std::min(left, SLICE_NS);
        const timespec limit{0, static_cast<long>(slice)};
        ::ppoll(polled.data(), polled.size(), &limit, nullptr);
    }
}

uint32_t Transfers::in_flight() noexcept {
    uint32_t count = 0;
    for (uint32_t i = 0; i < requests_.size(); ++i)
        count += requests_.at(i).load().in_flight() ? 1 : 0;
    return count;
}

uint64_t Transfers::user_element(const Request& request) const noexcept {
    if (request.whole)
        return 0;
    if (request.origins.empty())
        return request.first_bad;
    const RunPosition at = find_element(request.view, request.first_bad);
    return request.origins[at.run] +
           (request.view.runs[at.run].bytes < request.piece_bytes ? at.in_run : 0);
}

std::string Transfers::place_text(const Request& request) const {
    if (!request.whole)
        return "element " + std::to_string(user_element(request));
    const RunPosition at = find_element(request.view, request.first_bad);
    const nixl_run& first = request.view.runs[0];
    const nixl_run piece = element_of(request.view.runs[at.run], at.in_run, 0);
    return "piece " + std::to_string(request.first_bad) + " of " +
           std::to_string(request.view.elements) + ", bytes " +
           std::to_string(piece.source_offset - first.source_offset) + " to " +
           std::to_string(piece.source_offset - first.source_offset + piece.bytes - 1);
}

Error Transfers::error_of(const Request& request) const {
    const RequestState state = request.load();
    const Route& route = *request.route;
    std::string text = "transfer of " + std::to_string(request.view.bytes) + " bytes (" +
                       kind_name(route.legs[0].source_kind) + " to " +
                       kind_name(route.legs[route.leg_count - 1].target_kind) + " over " +
                       route.name() + "): ";
    Error error(state.status, "");
    error.detail = request.detail;
    if (state.status == Code::TIMED_OUT) {
        text += "its deadline passed after " + std::to_string(request.bytes_done) + " bytes";
        error.hint = "its buffers stay in use until the last operation has come back";
    } else if (state.status == Code::SHORT_TRANSFER) {
        text += "the source ended after " + std::to_string(request.bytes_done) + " bytes";
        error.hint = "the file is shorter than the buffer that was opened on it, or was cut";
    } else if (state.status == Code::CANCELLED) {
        text += "cancelled after " + std::to_string(request.bytes_done) + " bytes";
    } else {
        text += detail_text(state.status, request.detail, *route.legs[request.bad_leg].backend);
    }
    if (state.status == Code::DISCONNECTED)
        error.scope = Scope::PEER;
    if (request.first_bad != UINT64_MAX)
        text += " (" + place_text(request) + ", leg " + std::to_string(request.bad_leg + 1) +
                " of " + std::to_string(route.leg_count) + ")";
    error.message = std::move(text);
    return error;
}

std::string Transfers::abandoned_json() {
    JsonWriter json;
    json.array();
    for (uint32_t i = 0; i < requests_.size(); ++i) {
        const Request& request = requests_.at(i);
        if (request.load().phase != Phase::DRAINING)
            continue;
        json.object().key("request").value(i);
        json.key("status").value(code_name(request.load().status));
        json.key("path").value(request.route->name());
        json.key("bytes").value(request.view.bytes).end();
    }
    json.end();
    return json.text();
}

void Transfers::cancel_all() noexcept {
    for (const auto& lane : lanes_) {
        lane->enter();
        lane->progress();
        lane->cancel_all();
        lane->leave();
    }
}

void Transfers::report_stuck() noexcept {
    for (const auto& lane : lanes_) {
        lane->enter();
        lane->report_stuck();
        lane->leave();
        lane->notify();
    }
}

void Transfers::close_queues() noexcept {
    for (const auto& lane : lanes_)
        lane->close_queues();
}

bool Transfers::quarantine() {
    std::string named;
    bool stuck = false;
    for (const auto& lane : lanes_) {
        lane->enter(); // and never left: nothing may touch what is out any more
        for (Request* request = lane->first_active(); request != nullptr;
             request = request->active_next) {
            named += (named.empty() ? "" : ", ") + request->route->name() + " " +
                     std::to_string(request->view.bytes) + " bytes";
            for (const RegionUse& use : request->uses())
                regions_.quarantine(*use.region);
        }
        for (const auto& backend : registry_.backends())
            if ((lane->stuck_queues() >> backend->number & 1) != 0) {
                backend->abandon();
                stuck = true;
            }
    }
    if (named.empty() && !stuck)
        return false;
    // Staging memory: nobody knows which part of it the operations still use.
    regions_.for_each([this](Region& region) {
        if (region.role == Region::Role::STAGING)
            regions_.quarantine(region);
    });
    NIXL_LOG(ERROR,
             "closed with operations that never came back; their memory stays quarantined: " +
                 named);
    return true;
}

Result<void> Transfers::arm(CompletionQueue& queue) {
    queue.arm();
    if (!queue.armed())
        return {};
    if (!progress_->ensure())
        return Error(Code::AGAIN, "the thread that would signal the queue cannot be started",
                     "raise the limit on threads (ulimit -u), or poll the queue");
    want_progress();
    return {};
}

uint32_t Transfers::armed_queues() noexcept {
    uint32_t armed = 0;
    for (uint32_t i = 0; i < queues_.size(); ++i)
        armed += queues_.at(i).armed() ? 1 : 0;
    return armed;
}

} // namespace nixl::core
