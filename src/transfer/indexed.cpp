// SPDX-License-Identifier: Apache-2.0
// Requests over two prepared lists: made once, posted by index.
#include <algorithm>

#include "transfer/pipeline.h"
#include "transfer/slot_guard.h"
#include "transfer/transfers.h"

namespace nixl::core {

namespace {

/// Whole lists entry by entry when their shapes are the same, else block by block. Empty when the
/// blocks do not match; such a request can be posted by index alone.
std::vector<nixl_run> pair_all(const IndexedLists& lists) {
    const List &source = *lists.source, &target = *lists.target;
    std::vector<nixl_run> runs;
    if (have_same_shape(source, target)) {
        runs.reserve(source.blocks.size());
        for (size_t i = 0; i < source.blocks.size(); ++i) {
            const nixl_block &from = source.blocks[i], &to = target.blocks[i];
            runs.push_back({from.offset, to.offset, from.bytes, from.stride, to.stride, from.count,
                            lists.pair(from.buffer, to.buffer), 0});
        }
        return runs;
    }
    const size_t entries = std::max(source.blocks.size(), target.blocks.size());
    if (source.count > std::max<uint64_t>(entries, MAX_EXPANDED) || !lists.do_blocks_match())
        return runs;
    runs.reserve(source.count);
    for (uint64_t i = 0; i < source.count; ++i)
        runs.push_back(lists.run(i, i));
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
    if (request->route->direct())
        NIXL_RETURN_IF_ERROR(prepare_in_backend(*request));
    if (!lists.by_backend())
        request->owned_runs = pair_all(lists);
    set_all_view(*request);
    auto published = publish(*request); // while its regions are held
    guard.keep();
    return published;
}

Result<nixl_list> Transfers::list_of(const Request& request, bool is_source) {
    if (!request.of_runs)
        return Error(Code::INVALID_ARGUMENT, "the request was not made over runs or rows",
                     "make lists with nixl_list_create()");
    if (request.view.run_count == 0)
        return Error(Code::INVALID_ARGUMENT, "the request has no elements to list",
                     "make it over at least one run");
    const std::span<const nixl_run> runs =
        request.given_runs.empty() ? std::span(request.view.runs, request.view.run_count)
                                   : std::span<const nixl_run>(request.given_runs);
    std::vector<nixl_block> blocks;
    blocks.reserve(runs.size());
    for (const nixl_run& run : runs)
        blocks.push_back({is_source ? run.source_offset : run.target_offset, run.bytes,
                          is_source ? run.source_stride : run.target_stride, run.count, run.pair,
                          0});
    std::vector<nixl_buffer> buffers;
    std::vector<const Region*> regions;
    const auto uses = request.uses();
    for (size_t i = is_source ? 0 : 1; i < uses.size(); i += 2) {
        buffers.push_back({uses[i].region->index, uses[i].generation});
        regions.push_back(uses[i].region);
    }
    return lists_.create(buffers, regions, blocks);
}

/// Both lists for the device that reads and writes through them: the target's, or where that has
/// none the source's.
Result<void> Transfers::prepare_in_backend(Request& request) {
    IndexedLists& lists = *request.lists;
    const auto uses = request.uses();
    Backend& backend = *request.route->legs[0].backend;
    const int32_t device = uses[1].region->kind_class.device >= 0
                               ? uses[1].region->kind_class.device
                               : uses[0].region->kind_class.device;
    const size_t step = lists.target->buffers.size();
    std::vector<nixl_region> ends;
    for (size_t i = 0; i < lists.source->buffers.size(); ++i)
        ends.push_back(request.many_pairs[i * step].source);
    NIXL_ASSIGN_OR_RETURN(lists.prepared_source, lists.source->prepare(backend, ends, device));
    ends.clear();
    for (size_t k = 0; k < step; ++k)
        ends.push_back(request.many_pairs[k].target);
    NIXL_ASSIGN_OR_RETURN(lists.prepared_target, lists.target->prepare(backend, ends, device));
    return {};
}

void Transfers::set_all_view(Request& request) noexcept {
    const IndexedLists& lists = *request.lists;
    const auto& runs = request.owned_runs;
    RunView& all = request.lists->all;
    all = {};
    if (lists.by_backend() ? !lists.do_blocks_match() : runs.empty())
        return;
    all = {lists.by_backend() ? nullptr : runs.data(),
           lists.by_backend() ? lists.source->count : runs.size(),
           lists.source->count,
           lists.source->bytes,
           RunShape::MIXED,
           nullptr};
    if (all.run_count == 1)
        all.shape = RunShape::ONE;
    else if (all.elements == all.run_count)
        all.shape = RunShape::FLAT;
    request.first_elements = count_first_elements(runs);
    all.first_elements = request.first_elements.data();
    request.view = all;
}

/// What the backend walks in place of runs. After aim_at_data().
void Transfers::aim_at_lists(Request& request, const uint32_t* source_indices,
                             const uint32_t* target_indices) noexcept {
    if (request.lists == nullptr || !request.lists->by_backend())
        return;
    nixl_batch& batch = request.direct.batch;
    batch.prepared_source = request.lists->prepared_source;
    batch.prepared_target = request.lists->prepared_target;
    batch.source_indices = source_indices;
    batch.target_indices = target_indices;
}

namespace {

/// The first of two arrays' entries where one is not below its limit; `count`: there is none. Looks
/// for the greatest first, which compilers do many at a time.
uint64_t first_beyond(std::span<const uint32_t> source, uint64_t source_limit,
                      std::span<const uint32_t> target, uint64_t target_limit) noexcept {
    uint32_t greatest_source = 0, greatest_target = 0;
    for (const uint32_t index : source)
        greatest_source = std::max(greatest_source, index);
    for (const uint32_t index : target)
        greatest_target = std::max(greatest_target, index);
    if (greatest_source < source_limit && greatest_target < target_limit)
        return source.size();
    uint64_t at = 0;
    while (at < source.size() && source[at] < source_limit && target[at] < target_limit)
        ++at;
    return at;
}

} // namespace

Code Transfers::expand_indices(Request& request, std::span<const uint32_t> source,
                               std::span<const uint32_t> target, uint64_t* bad) noexcept {
    IndexedLists& lists = *request.lists;
    *bad = first_beyond(source, lists.source->count, target, lists.target->count);
    if (*bad != source.size())
        return Code::OUT_OF_RANGE;
    uint64_t bytes = source.size() * lists.source->longest;
    const bool by_backend = lists.by_backend();
    const bool are_alike = lists.source->uniform && lists.target->uniform &&
                           lists.source->longest == lists.target->longest;
    lists.runs.clear();
    if (!by_backend || !are_alike)
        bytes = 0;
    for (*bad = 0; *bad < source.size() && !(by_backend && are_alike); ++*bad) {
        const nixl_run run = lists.run(source[*bad], target[*bad]);
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
    aim_at_lists(request, request.lists->source_indices.data(),
                 request.lists->target_indices.data());
    note_engine_of_lists(request);
    return launch(request, options, before);
}

} // namespace nixl::core
