// SPDX-License-Identifier: Apache-2.0
// Making requests: checking ranges, choosing the route, registering regions, cutting long elements.
#include <algorithm>
#include <thread>

#include "base/checked.h"
#include "base/json.h"
#include "base/log.h"
#include "transfer/pipeline.h"
#include "transfer/progress.h"
#include "transfer/slot_guard.h"
#include "transfer/transfers.h"

namespace nixl::core {

namespace {

constexpr uint32_t MAX_PAIRS = 65536;

Error out_of_range(const nixl_run& run, uint64_t number, bool source, uint64_t bytes) {
    return Error(Code::OUT_OF_RANGE,
                 "run " + std::to_string(number) + ": " + std::to_string(run.count) +
                     " element(s) of " + std::to_string(run.bytes) + " bytes from offset " +
                     std::to_string(source ? run.source_offset : run.target_offset) + ", stride " +
                     std::to_string(source ? run.source_stride : run.target_stride) +
                     ", do not fit the " + (source ? "source" : "target") + " of " +
                     std::to_string(bytes) + " bytes");
}

} // namespace

Transfers::Transfers(const BackendRegistry& registry, RegionTable& regions, Router& router,
                     StagingPool& staging, Telemetry& telemetry, const TransferLimits& limits)
    : registry_(registry), regions_(regions), router_(router), staging_(staging),
      telemetry_(telemetry), fixed_limits_(limits), chunk_bytes_(limits.chunk_bytes),
      chunks_(limits.chunks), policy_(limits.policy), zero_copy_(limits.zero_copy),
      requests_(limits.requests), flights_(1u << 20), queues_(1024),
      progress_(std::make_unique<Progress>(*this)) {
    for (uint32_t i = 0; i < limits.lanes; ++i)
        lanes_.push_back(std::make_unique<Lane>(*this, i));
}

Transfers::~Transfers() { progress_.reset(); }

Result<Request*> Transfers::take_slot() {
    Request* request = requests_.take();
    if (request == nullptr)
        return Error(Code::AGAIN,
                     "all " + std::to_string(requests_.limit()) + " request slots are in use",
                     "release requests, or raise request_slots");
    request->direct.request = request;
    request->runs_borrowed = request->whole = request->of_runs = false;
    request->view = {};
    request->pieces = {};
    request->engine.store(nullptr, std::memory_order_relaxed);
    request->forget_post();
    return request;
}

Result<Region*> Transfers::live_region(nixl_buffer buffer, const char* side) {
    Region* region = regions_.find(buffer);
    if (region == nullptr || !region->live())
        return Error(Code::STALE, std::string("the ") + side + " buffer was freed",
                     "keep buffers until their requests are released");
    return region;
}

Result<nixl_region> Transfers::register_end(Region& region, Backend& backend, bool locked) {
    Region* end = &region;
    if (locked) {
        NIXL_ASSIGN_OR_RETURN(end, regions_.locked_twin(region));
    }
    bool hit = false;
    NIXL_RETURN_IF_ERROR(regions_.ensure_registered(*end, backend, &hit));
    telemetry_.registration(hit);
    // The base is that of the region itself: its twin may be that of a whole pool.
    return nixl_region{end->registration(backend.number), region.base()};
}

Result<void> Transfers::check_route(const Route& route) const {
    if (!route.direct() && zero_copy_.load(std::memory_order_relaxed))
        return Error(Code::UNSUPPORTED,
                     "zero_copy is set, and the path " + route.name() +
                         " copies through a staging buffer",
                     "move it in two transfers through memory of your own, or unset zero_copy");
    return check_policy(route, policy_.load(std::memory_order_relaxed));
}

Result<void> Transfers::check_policy(const Route& route, PathPolicy policy) {
    if (route.reasons.empty() || policy == PathPolicy::ALLOW)
        return {};
    std::string text = "path " + route.name();
    for (const std::string& reason : route.reasons)
        text += "; " + reason;
    if (policy == PathPolicy::REQUIRE_DIRECT && !route.direct())
        return Error(Code::UNSUPPORTED, "path_policy is require_direct and there is only " + text,
                     "provide what is missing, or set path_policy to warn or allow");
    if (log_first_time(text))
        NIXL_LOG(WARN, "slower than it could be: " + text);
    return {};
}

Result<void> Transfers::hold_regions(Request& request, std::span<const nixl_buffer> sources,
                                     std::span<const nixl_buffer> targets) {
    RegionUse* uses = request.inline_uses.data();
    if (sources.size() > 1) {
        request.many_uses.resize(sources.size() * 2);
        uses = request.many_uses.data();
    }
    for (size_t i = 0; i < sources.size(); ++i) {
        NIXL_ASSIGN_OR_RETURN(Region * source, live_region(sources[i], "source"));
        NIXL_ASSIGN_OR_RETURN(Region * target, live_region(targets[i], "target"));
        uses[2 * i] = {source, sources[i].generation};
        uses[2 * i + 1] = {target, targets[i].generation};
    }
    request.holds_regions = add_users(request);
    if (!request.holds_regions)
        return Error(Code::STALE, "a buffer is being freed",
                     "keep buffers until their requests are released");
    return {};
}

Result<void> Transfers::avoid_staging(Request& request, uint64_t bytes,
                                      std::array<bool, 2>* locks) {
    std::array<uint32_t, 2> classes{};
    NIXL_ASSIGN_OR_RETURN(const uint32_t pinned, router_.intern({NIXL_KIND_PINNED, -1, 0}));
    std::array<bool, 2> wanted{};
    for (size_t end = 0; end < 2; ++end) {
        const Region& region = *request.uses()[end].region;
        wanted[end] = region.kind_class == RegionClass{NIXL_KIND_HOST, -1, 0};
        classes[end] = wanted[end] ? pinned : region.class_number;
    }
    const auto direct = router_.find(classes[0], classes[1], bytes);
    if (!direct.ok() || !direct.value()->direct())
        return {};
    request.route = direct.value();
    *locks = wanted;
    if (log_first_time("zero_copy locks pages"))
        NIXL_LOG(WARN, "zero_copy: pageable memory is page-locked for transfers, until its buffer "
                       "is freed; wrap it with pinned=True (HOST_PINNED) to do that once");
    return {};
}

Result<void> Transfers::bind(Request& request, std::span<const nixl_buffer> sources,
                             std::span<const nixl_buffer> targets, uint64_t bytes) {
    NIXL_RETURN_IF_ERROR(hold_regions(request, sources, targets));
    const auto uses = request.uses();
    std::array<bool, 2> locks{};
    NIXL_ASSIGN_OR_RETURN(request.route, router_.find(uses[0].region->class_number,
                                                      uses[1].region->class_number, bytes));
    if (!request.route->direct() && zero_copy_.load(std::memory_order_relaxed))
        NIXL_RETURN_IF_ERROR(avoid_staging(request, bytes, &locks));
    const Route& route = *request.route;
    NIXL_RETURN_IF_ERROR(check_route(route));
    request.pair_count = static_cast<uint32_t>(sources.size());
    nixl_region_pair* pairs = request.inline_pairs.data();
    if (sources.size() > 1) {
        request.many_pairs.resize(sources.size());
        pairs = request.many_pairs.data();
    }
    for (size_t i = 0; i < sources.size(); ++i) {
        Region& source = *uses[2 * i].region;
        Region& target = *uses[2 * i + 1].region;
        if (target.read_only())
            return Error(Code::PERMISSION_DENIED, "the target buffer is read-only",
                         "wrap writable memory, or open the file for writing");
        if (source.class_number != uses[0].region->class_number ||
            target.class_number != uses[1].region->class_number)
            return Error(Code::UNSUPPORTED,
                         "one request mixes buffers of different kinds, devices or peers",
                         "make one request per pair of kinds, devices and peers");
        NIXL_ASSIGN_OR_RETURN(pairs[i].source,
                              register_end(source, *route.legs[0].backend, locks[0]));
        NIXL_ASSIGN_OR_RETURN(
            pairs[i].target,
            register_end(target, *route.legs[route.leg_count - 1].backend, locks[1]));
    }
    return {};
}

void Transfers::set_one_range(Request& request, const RangeSpec& spec) {
    const uint64_t longest = element_limit(request, spec.bytes);
    nixl_run* runs = request.inline_runs.data();
    const nixl_run whole{spec.source_offset, spec.target_offset, spec.bytes, 0, 0, 1, 0, 0};
    if (longest == 0 || spec.bytes <= longest) {
        runs[0] = whole;
        request.view = {
            runs,   spec.bytes == 0 ? 0u : 1u, spec.bytes == 0 ? 0u : 1u, spec.bytes, RunShape::ONE,
            nullptr};
        return;
    }
    // One long element is a strided run of pieces, and a rest.
    runs[0] = whole;
    runs[0].bytes = longest;
    runs[0].source_stride = runs[0].target_stride = static_cast<int64_t>(longest);
    runs[0].count = spec.bytes / longest;
    const uint64_t body = runs[0].count * longest;
    uint64_t count = 1;
    if (body != spec.bytes)
        runs[count++] = element_of(whole, 0, body);
    request.inline_firsts = {0, runs[0].count};
    request.view = {runs,
                    count,
                    runs[0].count + count - 1,
                    spec.bytes,
                    count == 1 ? RunShape::ONE : RunShape::MIXED,
                    request.inline_firsts.data()};
    request.whole = true; // every piece belongs to element 0
}

/// Where none is set: large enough for the rate of links and disks, and enough of them to overlap.
/// 2 x H200, 1 GiB of pageable memory through page-locked: 25 GB/s in pieces of 1 MiB, 51 of 4.
/// Powers of two, so that staging memory is found again, and no more than the pool has room for.
uint64_t Transfers::chunk_for(uint64_t bytes, const Pieces& pieces) const {
    constexpr uint64_t LEAST = 256u << 10, MOST = 4u << 20, PIECES = 16;
    const uint64_t set =
        pieces.chunk_bytes != 0 ? pieces.chunk_bytes : chunk_bytes_.load(std::memory_order_relaxed);
    if (set != 0)
        return set;
    uint64_t chunk = MOST;
    const uint64_t chunks = stages_for(pieces);
    while (chunk > LEAST &&
           (chunk > bytes / PIECES || !staging_.fits(chunk * chunks, MAX_LEGS - 1)))
        chunk /= 2;
    return chunk;
}

uint64_t Transfers::element_limit(const Request& request, uint64_t bytes) const {
    const Route& route = *request.route;
    if (route.direct())
        return route.max_element_bytes;
    const uint64_t chunk = chunk_for(bytes, request.pieces);
    return route.max_element_bytes == 0 ? chunk : std::min(route.max_element_bytes, chunk);
}

Result<Request*> Transfers::publish(Request& request) {
    if (!request.route->direct() && (request.view.elements != 0 || request.lists != nullptr)) {
        // At least as long as the longest element: chunk_size may have changed since it was cut.
        constexpr uint64_t USUAL_POST = 16u << 20; // by index, out of lists of any size
        uint64_t longest =
            chunk_for(request.lists != nullptr ? USUAL_POST : request.view.bytes, request.pieces);
        for (uint64_t i = 0; i < request.view.run_count; ++i)
            longest = std::max(longest, request.view.runs[i].bytes);
        if (request.lists != nullptr)
            longest = std::max(longest, request.lists->longest());
        request.pipeline = std::make_unique<Pipeline>(request, longest, stages_for(request.pieces));
    }
    aim_at_data(request);
    aim_at_lists(request, nullptr, nullptr);
    note_engine(request);
    request.set(Phase::IDLE, Code::OK);
    return &request;
}

Result<Request*> Transfers::create_range(const RangeSpec& spec) {
    NIXL_ASSIGN_OR_RETURN(Request * request, take_slot());
    SlotGuard guard(*this, *request);
    request->pieces = spec.pieces;
    NIXL_RETURN_IF_ERROR(
        bind(*request, std::span(&spec.source, 1), std::span(&spec.target, 1), spec.bytes));
    const Region& source = *request->inline_uses[0].region;
    const Region& target = *request->inline_uses[1].region;
    for (const bool is_source : {true, false}) {
        const uint64_t size = (is_source ? source : target).bytes;
        const uint64_t offset = is_source ? spec.source_offset : spec.target_offset;
        if (!in_range(offset, spec.bytes, size))
            return Error(Code::OUT_OF_RANGE,
                         std::to_string(spec.bytes) + " bytes at offset " + std::to_string(offset) +
                             " do not fit the " + (is_source ? "source" : "target") + " of " +
                             std::to_string(size) + " bytes",
                         "nothing was moved; check sizes and offsets");
    }
    set_one_range(*request, spec);
    auto published = publish(*request); // while its regions are held
    guard.keep();
    return published;
}

Result<void> Transfers::set_runs(Request& request, RunsSpec&& spec) {
    std::vector<PairSizes> many;
    PairSizes one{};
    const auto uses = request.uses();
    std::span<const PairSizes> sizes(&one, 1);
    if (request.pair_count == 1) {
        one = {uses[0].region->bytes, uses[1].region->bytes};
    } else {
        for (size_t i = 0; i < request.pair_count; ++i)
            many.push_back({uses[2 * i].region->bytes, uses[2 * i + 1].region->bytes});
        sizes = many;
    }
    const RunCheck check = check_runs(spec.runs, sizes, spec.singles);
    if (check.code == Code::INVALID_ARGUMENT)
        return Error(check.code, "run " + std::to_string(check.bad_run) +
                                     ": bytes and count must be at least 1 and pair below " +
                                     std::to_string(request.pair_count));
    if (check.code != Code::OK) {
        const nixl_run& bad = spec.runs[check.bad_run];
        return out_of_range(bad, check.bad_run, check.bad_source,
                            check.bad_source ? sizes[bad.pair].source_bytes
                                             : sizes[bad.pair].target_bytes);
    }
    const uint64_t longest = element_limit(request, check.bytes);
    if (longest != 0 && check.longest > longest) {
        if (!split_long_elements(spec.runs, longest, request.owned_runs, request.origins))
            return Error(Code::UNSUPPORTED,
                         "more than " + std::to_string(MAX_SPLIT_RUNS) +
                             " pieces: elements of up to " + std::to_string(check.longest) +
                             " bytes travel over " + request.route->name() + " in pieces of " +
                             std::to_string(longest),
                         "make several requests, or raise chunk_size");
        request.piece_bytes = longest;
        request.given_runs.assign(spec.runs.begin(), spec.runs.end());
        spec.runs = request.owned_runs;
    } else if (!spec.owned.empty()) {
        request.owned_runs = std::move(spec.owned);
        spec.runs = request.owned_runs;
    } else if (spec.borrowed) {
        request.runs_borrowed = true;
    } else if (spec.runs.size() <= request.inline_runs.size()) {
        std::copy(spec.runs.begin(), spec.runs.end(), request.inline_runs.begin());
        spec.runs = std::span(request.inline_runs.data(), spec.runs.size());
    } else {
        request.owned_runs.assign(spec.runs.begin(), spec.runs.end());
        spec.runs = request.owned_runs;
    }
    request.of_runs = true;
    request.view = {spec.runs.data(), spec.runs.size(), check.elements,
                    check.bytes,      check.shape,      nullptr};
    if (!request.origins.empty()) {
        request.view.shape = spec.runs.size() == 1 ? RunShape::ONE : RunShape::MIXED;
        request.view.elements = 0;
        for (const nixl_run& run : spec.runs)
            request.view.elements += run.count;
    }
    if (request.view.shape == RunShape::MIXED) {
        request.first_elements = count_first_elements(spec.runs);
        request.view.first_elements = request.first_elements.data();
    }
    return {};
}

Result<Request*> Transfers::create_runs(RunsSpec spec) {
    if (spec.sources.empty() || spec.sources.size() > MAX_PAIRS)
        return Error(Code::INVALID_ARGUMENT, "a request needs 1 .. " + std::to_string(MAX_PAIRS) +
                                                 " pairs of buffers, not " +
                                                 std::to_string(spec.sources.size()));
    uint64_t bytes = 0;
    for (const nixl_run& run : spec.runs.first(std::min<size_t>(spec.runs.size(), 64)))
        bytes = std::max(bytes, run.bytes); // long elements decide the size class
    NIXL_ASSIGN_OR_RETURN(Request * request, take_slot());
    SlotGuard guard(*this, *request);
    NIXL_RETURN_IF_ERROR(bind(*request, spec.sources, spec.targets, bytes));
    NIXL_RETURN_IF_ERROR(set_runs(*request, std::move(spec)));
    auto published = publish(*request); // while its regions are held
    guard.keep();
    return published;
}

void Transfers::set_limits(const TransferLimits& limits) noexcept {
    chunk_bytes_.store(limits.chunk_bytes, std::memory_order_relaxed);
    chunks_.store(limits.chunks, std::memory_order_relaxed);
    policy_.store(limits.policy, std::memory_order_relaxed);
    zero_copy_.store(limits.zero_copy, std::memory_order_relaxed);
}

TransferLimits Transfers::limits() const noexcept {
    TransferLimits limits = fixed_limits_;
    limits.chunk_bytes = chunk_bytes_.load(std::memory_order_relaxed);
    limits.chunks = chunks_.load(std::memory_order_relaxed);
    limits.policy = policy_.load(std::memory_order_relaxed);
    limits.zero_copy = zero_copy_.load(std::memory_order_relaxed);
    return limits;
}

void Transfers::want_progress() noexcept { progress_->nudge(); }

bool Transfers::has_progress() const noexcept { return progress_->running(); }

void Transfers::stop_progress() noexcept { progress_->stop(); }

} // namespace nixl::core
