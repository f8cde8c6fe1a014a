// SPDX-License-Identifier: Apache-2.0
// Requests over two prepared lists: made once, posted by index.
#include <algorithm>

#include "transfer/pipeline.h"
#include "transfer/slot_guard.h"
#include "transfer/transfers.h"

namespace nixl::core {

namespace {

/// Blocks of lists of different shape that are written out one by one; longer lists of that kind
/// are posted by index alone.
constexpr uint64_t MAX_EXPANDED = 1u << 20;

/// Whole lists entry by entry when their shapes are the same, else block by block. Empty when the
/// blocks do not match; such a request can be posted by index alone.
std::vector<nixl_run> pair_all(const IndexedLists& lists) {
    const List &source = *lists.source, &target = *lists.target;
    std::vector<nixl_run> runs;
    const bool same_shape =
        source.blocks.size() == target.blocks.size() &&
        std::equal(source.blocks.begin(), source.blocks.end(), target.blocks.begin(),
                   [](const nixl_block& a, const nixl_block& b) {
                       return a.count == b.count && a.bytes == b.bytes;
                   });
    if (same_shape) {
        for (size_t i = 0; i < source.blocks.size(); ++i) {
            const nixl_block &from = source.blocks[i], &to = target.blocks[i];
            runs.push_back({from.offset, to.offset, from.bytes, from.stride, to.stride, from.count,
                            lists.pair(from.buffer, to.buffer), 0});
        }
        return runs;
    }
    if (source.count != target.count || source.count > MAX_EXPANDED)
        return runs;
    for (uint64_t i = 0; i < source.count; ++i) {
        runs.push_back(lists.run(i, i));
        if (runs.back().bytes == 0)
            return {};
    }
    return runs;
}

} // namespace

Result<void> Transfers::bind_lists(Request& request, const List& source, const List& target) {
    const size_t pairs = source.buffers.size() * target.buffers.size();
    if (pairs > 65536)
        return Error(Code::INVALID_ARGUMENT,
                     "the two lists make " + std::to_string(pairs) +
                         " pairs of buffers, more than 65536",
                     "split the lists by buffer");
    // Bound as pairs so that every rule holds once for each end; each region is used once per post.
    std::vector<nixl_buffer> sources, targets;
    for (size_t i = 0; i < std::max(source.buffers.size(), target.buffers.size()); ++i) {
        sources.push_back(source.buffers[std::min(i, source.buffers.size() - 1)]);
        targets.push_back(target.buffers[std::min(i, target.buffers.size() - 1)]);
    }
    NIXL_RETURN_IF_ERROR(bind(request, sources, targets, std::max(source.longest, target.longest)));
    const std::vector<nixl_region_pair> bound(request.pairs(),
                                              request.pairs() + request.pair_count);
    request.many_pairs.clear();
    for (size_t i = 0; i < source.buffers.size(); ++i)
        for (size_t k = 0; k < target.buffers.size(); ++k)
            request.many_pairs.push_back({bound[i].source, bound[k].target});
    request.pair_count = static_cast<uint32_t>(pairs);
    request.inline_pairs[0] = request.many_pairs[0];
    return {};
}

Result<Request*> Transfers::create_lists(nixl_list source_handle, nixl_list target_handle) {
    NIXL_ASSIGN_OR_RETURN(Request * request, take_slot());
    SlotGuard guard(*this, *request);
    request->lists = std::make_unique<IndexedLists>();
    IndexedLists& lists = *request->lists;
    for (const bool is_source : {true, false}) {
        const nixl_list handle = is_source ? source_handle : target_handle;
        List* list = lists_.find(handle);
        if (list == nullptr || !list->hold(handle.generation))
            return Error(Code::STALE, std::string("the ") + (is_source ? "source" : "target") +
                                          " list was released");
        (is_source ? lists.source : lists.target) = list;
    }
    const List *source = lists.source, *target = lists.target;
    NIXL_RETURN_IF_ERROR(bind_lists(*request, *source, *target));
    const uint64_t limit = request->route->max_element_bytes;
    if (limit != 0 && lists.longest() > limit)
        return Error(Code::UNSUPPORTED,
                     "blocks of more than " + std::to_string(limit) + " bytes in lists over " +
                         request->route->name(),
                     "use runs, which are cut to fit, or shorter blocks");
    if (request->route->direct()) {
        std::vector<nixl_region> ends;
        Backend& backend = *request->route->legs[0].backend;
        const size_t step = target->buffers.size();
        for (size_t i = 0; i < source->buffers.size(); ++i)
            ends.push_back(request->many_pairs[i * step].source);
        NIXL_ASSIGN_OR_RETURN(lists.prepared_source, lists.source->prepare(backend, ends));
        ends.clear();
        for (size_t k = 0; k < step; ++k)
            ends.push_back(request->many_pairs[k].target);
        NIXL_ASSIGN_OR_RETURN(lists.prepared_target, lists.target->prepare(backend, ends));
    }
    request->owned_runs = pair_all(lists);
    set_all_view(*request);
    guard.keep();
    return publish(*request);
}

void Transfers::set_all_view(Request& request) noexcept {
    const auto& runs = request.owned_runs;
    RunView& all = request.lists->all;
    all = {};
    if (runs.empty())
        return;
    all = {runs.data(),     runs.size(), request.lists->source->count, request.lists->source->bytes,
           RunShape::MIXED, nullptr};
    if (runs.size() == 1)
        all.shape = RunShape::ONE;
    else if (all.elements == runs.size())
        all.shape = RunShape::FLAT;
    request.first_elements = count_first_elements(runs);
    all.first_elements = request.first_elements.data();
    request.view = all;
}

Code Transfers::expand_indices(Request& request, std::span<const uint32_t> source,
                               std::span<const uint32_t> target, uint64_t* bad) noexcept {
    IndexedLists& lists = *request.lists;
    uint64_t bytes = 0;
    const bool by_backend = lists.by_backend();
    const bool check_bytes = !lists.source->uniform || !lists.target->uniform ||
                             lists.source->longest != lists.target->longest;
    lists.runs.clear();
    for (*bad = 0; *bad < source.size(); ++*bad) {
        const uint32_t from = source[*bad], to = target[*bad];
        if (from >= lists.source->count || to >= lists.target->count)
            return Code::OUT_OF_RANGE;
        if (by_backend && !check_bytes) {
            bytes += lists.source->longest;
            continue;
        }
        const nixl_run run = lists.run(from, to);
        if (run.bytes == 0)
            return Code::INVALID_ARGUMENT;
        bytes += run.bytes;
        if (!by_backend)
            lists.runs.push_back(run);
    }
    request.view = {by_backend ? nullptr : lists.runs.data(),
                    source.size(),
                    source.size(),
                    bytes,
                    source.size() <= 1 ? RunShape::ONE : RunShape::FLAT,
                    nullptr};
    if (by_backend) {
        lists.source_indices.assign(source.begin(), source.end());
        lists.target_indices.assign(target.begin(), target.end());
    }
    return Code::OK;
}

Code Transfers::post_indexed(Request& request, uint32_t generation,
                             std::span<const uint32_t> source, std::span<const uint32_t> target,
                             const PostOptions& options, uint64_t* bad) noexcept {
    uint64_t before = 0;
    if (const Code code = begin_post(request, generation, &before); code != Code::OK)
        return code;
    if (request.lists == nullptr)
        return undo_post(request, before, Code::NOT_FOUND);
    if (const Code code = expand_indices(request, source, target, bad); code != Code::OK)
        return undo_post(request, before, code);
    aim_at_data(request);
    if (request.lists->by_backend()) {
        nixl_batch& batch = request.direct.batch;
        batch.prepared_source = request.lists->prepared_source;
        batch.prepared_target = request.lists->prepared_target;
        batch.source_indices = request.lists->source_indices.data();
        batch.target_indices = request.lists->target_indices.data();
    }
    return launch(request, options, before);
}

} // namespace nixl::core
