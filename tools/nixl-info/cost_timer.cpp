// SPDX-License-Identifier: Apache-2.0
#include "nixl-info/cost_timer.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "common/clock.h"
#include "common/interrupt.h"
#include "common/json_reader.h"

namespace nixl::tools {

namespace {

using core::cuda::CostTable;

constexpr size_t FEWEST_RUNS = 3, MOST_RUNS = 500;

/// Whatever the environment says: neither its table, which may be the reason to measure, nor
/// decorators, which take time of their own.
Config quiet(std::vector<std::pair<std::string, std::string>> settings = {}) {
    Config config;
    config.settings = std::move(settings);
    config.settings.emplace_back("cuda.cost_table", "");
    config.settings.emplace_back("decorators", "");
    return config;
}

std::vector<std::uint64_t> shuffled(std::uint64_t count, std::uint32_t seed) {
    std::vector<std::uint64_t> order(count);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), std::mt19937(seed));
    return order;
}

/// Elements all over the buffers, the same in every run of the tool.
std::vector<nixl_run> scattered(const CostProbe& probe, std::uint64_t buffer_bytes) {
    const std::uint64_t step = buffer_bytes / probe.elements;
    const auto from = shuffled(probe.elements, 1), into = shuffled(probe.elements, 2);
    std::vector<nixl_run> runs;
    for (std::uint64_t i = 0; i < probe.elements; ++i)
        runs.push_back({from[i] * step, into[i] * step, probe.bytes_each, 0, 0, 1, 0, 0});
    return runs;
}

const char* name_of(CostEngine engine) {
    return engine == CostEngine::COPY ? "copy" : engine == CostEngine::BULK ? "bulk" : "plain";
}

/// How the path of a transfer names it.
const char* engine_of(CostEngine engine) {
    return engine == CostEngine::COPY   ? "copy engine"
           : engine == CostEngine::BULK ? "gather kernel (bulk copies)"
                                        : "gather kernel (loads and stores)";
}

/// Released at its end.
class TimedRequest {
  public:
    TimedRequest(nixl_context context, nixl_buffer source, nixl_buffer target,
                 const std::vector<nixl_run>& runs)
        : context_(context) {
        detail::check(nixl_request_create_runs(context, &source, &target, 1, runs.data(),
                                               runs.size(), NIXL_RUNS_BORROWED, &request_));
    }
    ~TimedRequest() { (void)nixl_request_release(context_, request_); }
    TimedRequest(const TimedRequest&) = delete;
    TimedRequest& operator=(const TimedRequest&) = delete;

    std::uint64_t run_ns() {
        const std::uint64_t start = now_ns();
        detail::check(nixl_request_post(context_, request_, nullptr));
        nixl_status status = NIXL_IN_PROGRESS;
        while (status == NIXL_IN_PROGRESS)
            status = nixl_request_poll(context_, request_);
        const std::uint64_t end = now_ns();
        detail::check(status);
        return end - start;
    }
    /// Of the last run.
    std::string engine() {
        const Json path =
            Json::read(detail::read_text([&](char* out, std::size_t room, std::size_t* needed) {
                return nixl_request_path(context_, request_, out, room, needed);
            }));
        const auto& legs = path["legs"].members();
        return legs.empty() ? "" : legs.front().second["engine"].text();
    }

  private:
    nixl_context context_;
    nixl_request request_{};
};

} // namespace

CostTimer::CostTimer(const Options& options) : options_(options), owner_(quiet()) {
    allocate(HOST, NIXL_KIND_PINNED, -1);
    allocate(FIRST, NIXL_KIND_DEVICE, 0);
    allocate(SECOND, NIXL_KIND_DEVICE, 0);
    if (options_.gpus > 1)
        allocate(OTHER, NIXL_KIND_DEVICE, 1);
}

void CostTimer::allocate(Place place, std::uint32_t kind, std::int32_t device) {
    nixl_buffer buffer{}; // ends with its context
    detail::check(nixl_buffer_allocate(owner_, options_.large_bytes, kind, device, 0, &buffer));
    memory_[place] = NIXL_INIT(nixl_buffer_description);
    detail::check(nixl_buffer_describe(owner_, buffer, &memory_[place]));
}

CostTimer::Ends CostTimer::ends_of(const CostProbe& probe) {
    if (probe.way->costs == &CostTable::in)
        return {HOST, FIRST};
    if (probe.way->costs == &CostTable::out)
        return {FIRST, HOST};
    return {FIRST, probe.way->costs == &CostTable::within ? SECOND : OTHER};
}

CostTimer::Session& CostTimer::session_for(const CostProbe& probe) {
    const std::string engine = name_of(probe.engine), budget = probe.on_one ? "1" : "0",
                      gpu = probe.way->costs == &CostTable::written ? "source" : "target";
    const std::string key = engine + budget + gpu;
    const auto known = sessions_.find(key);
    if (known != sessions_.end())
        return known->second;
    Session& made = sessions_
                        .try_emplace(key, quiet({{"cuda.engine", engine},
                                                 {"cuda.sm_budget", budget},
                                                 {"cuda.kernel_gpu", gpu}}))
                        .first->second;
    for (size_t place = 0; place < PLACES; ++place)
        if (const nixl_buffer_description& memory = memory_[place]; memory.bytes != 0)
            detail::check(nixl_buffer_wrap(made.context, reinterpret_cast<void*>(memory.address),
                                           memory.bytes, memory.kind, memory.device, 0,
                                           &made.buffers[place]));
    return made;
}

CostTime CostTimer::time(const CostProbe& probe) {
    const Ends ends = ends_of(probe);
    if (memory_[ends.target].bytes == 0)
        return {0, "there is one GPU"};
    Session& session = session_for(probe);
    const std::vector<nixl_run> runs = scattered(probe, options_.large_bytes);
    TimedRequest request(session.context, session.buffers[ends.source],
                         session.buffers[ends.target], runs);
    (void)request.run_ns(); // the first one opens streams and loads kernels
    if (const std::string engine = request.engine(); engine != engine_of(probe.engine))
        return {0, "here it is moved by the " + engine};
    std::vector<std::uint64_t> times;
    const std::uint64_t end = now_ns() + options_.ns_per_probe;
    while (times.size() < FEWEST_RUNS || (times.size() < MOST_RUNS && now_ns() < end)) {
        stop_if_interrupted();
        times.push_back(request.run_ns());
    }
    const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
    std::nth_element(times.begin(), middle, times.end());
    return {static_cast<double>(*middle), ""};
}

} // namespace nixl::tools
