// SPDX-License-Identifier: Apache-2.0
#include "nixl-demo/leg.h"

#include <algorithm>

#include "common/clock.h"
#include "common/interrupt.h"
#include "common/json_reader.h"
#include "common/text.h"
#include "common/units.h"

namespace nixl::tools {

namespace {

constexpr std::uint64_t PAGE = 4096;
constexpr const char* LINE = "%-14s %-18s %12s %12s  %5s  %s\n";

double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

void share(std::uint64_t bytes, unsigned thread, unsigned threads, const RawMove& raw) {
    const std::uint64_t part = (bytes / threads + PAGE - 1) / PAGE * PAGE;
    const std::uint64_t first = std::min(part * thread, bytes);
    const std::uint64_t last = thread + 1 == threads ? bytes : std::min(first + part, bytes);
    if (first < last)
        raw(first, last - first);
}

class RangeRequest {
  public:
    RangeRequest(const Buffer& source, std::uint64_t source_offset, const Buffer& target,
                 std::uint64_t target_offset, std::uint64_t bytes)
        : context_(source.context()) {
        detail::check(nixl_request_create_range(context_, source.handle(), source_offset,
                                                target.handle(), target_offset, bytes, &handle_));
    }
    ~RangeRequest() { (void)nixl_request_release(context_, handle_); }
    RangeRequest(const RangeRequest&) = delete;
    RangeRequest& operator=(const RangeRequest&) = delete;

    void run() const {
        nixl_post_options options = NIXL_INIT(nixl_post_options);
        options.flags = NIXL_POST_WAIT;
        nixl_status status = nixl_request_post(context_, handle_, &options);
        while (status == NIXL_INTERRUPTED || status == NIXL_IN_PROGRESS)
            status = nixl_request_wait(context_, handle_, -1);
        if (status == NIXL_OK)
            return;
        nixl_error error = NIXL_INIT(nixl_error);
        if (nixl_request_error(context_, handle_, &error) == NIXL_OK && error.code == status)
            throw TransferError(error);
        detail::throw_last_error(status);
    }
    [[nodiscard]] Json path() const {
        return Json::read(
            detail::read_text([this](char* out, std::size_t capacity, std::size_t* needed) {
                return nixl_request_path(context_, handle_, out, capacity, needed);
            }));
    }

  private:
    nixl_context context_;
    nixl_request handle_{};
};

} // namespace

void Leg::move_window(const Buffer& source, std::uint64_t source_offset, const Buffer& target,
                      std::uint64_t target_offset, std::uint64_t bytes, unsigned turns, Crew& crew,
                      const RawMove& raw, const std::function<void()>& before) {
    const RangeRequest request(source, source_offset, target, target_offset, bytes);
    const Json path = request.path();
    is_simulated_ = path["simulated"].is_true();
    path_ = path["name"].text() + (is_simulated_ ? ", simulated" : "");
    crew_threads_ = crew.threads();
    std::vector<double> ours, plain[2];
    const auto timed = [](std::vector<double>& into, const auto& work) {
        const std::uint64_t start_ns = now_ns();
        work();
        into.push_back(static_cast<double>(now_ns() - start_ns));
    };
    for (unsigned turn = 0; turn < turns; ++turn) {
        stop_if_interrupted();
        if (raw) {
            timed(plain[0], [&] { raw(0, bytes); });
            timed(plain[1], [&] {
                crew.run([&](unsigned thread) { share(bytes, thread, crew.threads(), raw); });
            });
        }
        before();
        timed(ours, [&] { request.run(); });
    }
    bytes_ += bytes;
    ours_ns_ += median(ours);
    for (unsigned way = 0; raw && way < 2; ++way)
        raw_ns_[way] += median(plain[way]);
}

std::string Leg::heading() {
    return format(LINE, "leg", "path", "nixl", "raw", "share", "what raw is");
}

std::string Leg::line() const {
    if (bytes_ == 0)
        return format(LINE, name_.c_str(), "-", "-", "-", "-", "nothing to move");
    const bool shared = raw_ns_[1] < raw_ns_[0];
    const double raw_ns = shared ? raw_ns_[1] : raw_ns_[0], bytes = static_cast<double>(bytes_);
    if (raw_ns == 0)
        return format(LINE, name_.c_str(), path_.c_str(), format_rate(bytes / ours_ns_).c_str(),
                      "-", "-", "none");
    const std::string call =
        raw_call_ + format(", %u thread%s", shared ? crew_threads_ : 1, shared ? "s" : "");
    return format(LINE, name_.c_str(), path_.c_str(), format_rate(bytes / ours_ns_).c_str(),
                  format_rate(bytes / raw_ns).c_str(),
                  format("%.0f %%", raw_ns / ours_ns_ * 100).c_str(), call.c_str());
}

} // namespace nixl::tools
