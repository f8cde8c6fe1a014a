// SPDX-License-Identifier: Apache-2.0
// nixl_request_create_*: making requests.
#include "capi/context_table.h"
#include "capi/refusals.h"

using namespace nixl::core;

namespace {

constexpr uint32_t COLUMNS_SHORT = 3, COLUMNS_LONG = 6;

// As for the settings pipeline_chunks and chunk_size.
constexpr uint32_t MAX_STAGES = 64;
constexpr uint64_t MIN_CHUNK = 4u << 10, MAX_CHUNK = uint64_t{4} << 30;

nixl_status publish(Result<Request*>&& made, nixl_request* out) noexcept {
    if (!made.ok())
        return fail(made.error());
    *out = Transfers::handle_of(*made.value());
    return NIXL_OK;
}

nixl_status create_whole(nixl_context context, nixl_buffer source, nixl_buffer target,
                         const Pieces& pieces, nixl_request* out) {
    const Call call(context);
    if (!call)
        return last_code();
    if (out == nullptr)
        return refuse_no_output();
    const Region* region = call->regions().find(source);
    if (region == nullptr)
        return fail(Code::STALE, "the source buffer was freed");
    return guarded([&] {
        return publish(
            call->transfers().create_range({source, target, 0, 0, region->bytes, pieces}), out);
    });
}

/// In a loop per form: requests of many thousand rows are made between two steps of a model.
std::vector<nixl_run> runs_of_short_rows(const uint64_t* row, uint64_t count, Singles* all) {
    std::vector<nixl_run> runs;
    runs.reserve(count);
    Singles sum; // in registers
    for (const uint64_t* const end = row + count * COLUMNS_SHORT; row != end;
         row += COLUMNS_SHORT) {
        runs.push_back({row[0], row[1], row[2], 0, 0, 1, 0, 0});
        sum.add(row[0], row[1], row[2]);
    }
    *all = sum;
    return runs;
}

std::vector<nixl_run> runs_of_long_rows(const uint64_t* row, uint64_t count) {
    std::vector<nixl_run> runs;
    runs.reserve(count);
    for (const uint64_t* const end = row + count * COLUMNS_LONG; row != end; row += COLUMNS_LONG)
        runs.push_back({row[0], row[1], row[2], static_cast<int64_t>(row[3]),
                        static_cast<int64_t>(row[4]), row[5], 0, 0});
    return runs;
}

} // namespace

extern "C" {

nixl_status nixl_request_create_range(nixl_context context, nixl_buffer source,
                                      uint64_t source_offset, nixl_buffer target,
                                      uint64_t target_offset, uint64_t bytes, nixl_request* out) {
    const Call call(context);
    if (!call)
        return last_code();
    if (out == nullptr)
        return refuse_no_output();
    return guarded([&] {
        return publish(
            call->transfers().create_range({source, target, source_offset, target_offset, bytes}),
            out);
    });
}

nixl_status nixl_request_create(nixl_context context, nixl_buffer source, nixl_buffer target,
                                nixl_request* out) {
    return create_whole(context, source, target, {}, out);
}

nixl_status nixl_request_create_pipelined(nixl_context context, nixl_buffer source,
                                          nixl_buffer target, const nixl_pipeline* pipeline,
                                          nixl_request* out) {
    nixl_pipeline given{};
    if (pipeline == nullptr || pipeline->struct_size < sizeof given)
        return fail(Code::INVALID_ARGUMENT, "pipeline is NULL, or its struct_size is not set");
    given = *pipeline;
    if (given.stages > MAX_STAGES || (given.chunk_bytes != 0 && (given.chunk_bytes < MIN_CHUNK ||
                                                                 given.chunk_bytes > MAX_CHUNK)))
        return fail(Error(Code::INVALID_ARGUMENT,
                          std::to_string(given.stages) + " stages of " +
                              std::to_string(given.chunk_bytes) + " bytes",
                          "stages are 1 .. 64, a piece has 4 KiB .. 4 GiB; 0 is the setting"));
    return create_whole(context, source, target, {given.chunk_bytes, given.stages}, out);
}

nixl_status nixl_request_create_runs(nixl_context context, const nixl_buffer* sources,
                                     const nixl_buffer* targets, uint32_t pair_count,
                                     const nixl_run* runs, uint64_t run_count, uint32_t flags,
                                     nixl_request* out) {
    const Call call(context);
    if (!call)
        return last_code();
    if (out == nullptr || sources == nullptr || targets == nullptr ||
        (runs == nullptr && run_count > 0))
        return refuse_no_output();
    Transfers::RunsSpec spec;
    spec.sources = {sources, pair_count};
    spec.targets = {targets, pair_count};
    spec.runs = {runs, run_count};
    spec.borrowed = (flags & NIXL_RUNS_BORROWED) != 0;
    return guarded([&] { return publish(call->transfers().create_runs(std::move(spec)), out); });
}

nixl_status nixl_request_create_rows(nixl_context context, nixl_buffer source, nixl_buffer target,
                                     const uint64_t* rows, uint64_t row_count, uint32_t columns,
                                     nixl_request* out) {
    const Call call(context);
    if (!call)
        return last_code();
    if (out == nullptr || (rows == nullptr && row_count > 0))
        return refuse_no_output();
    if (columns != COLUMNS_SHORT && columns != COLUMNS_LONG)
        return fail(Error(Code::INVALID_ARGUMENT, "rows of " + std::to_string(columns) + " columns",
                          "3 columns: source offset, target offset, bytes; 6 columns add source "
                          "stride, target stride, count"));
    return guarded([&] {
        Transfers::RunsSpec spec;
        Singles singles;
        if (columns == COLUMNS_SHORT) {
            spec.owned = runs_of_short_rows(rows, row_count, &singles);
            spec.singles = &singles;
        } else {
            spec.owned = runs_of_long_rows(rows, row_count);
        }
        spec.sources = {&source, 1};
        spec.targets = {&target, 1};
        spec.runs = spec.owned;
        return publish(call->transfers().create_runs(std::move(spec)), out);
    });
}

nixl_status nixl_request_create_lists(nixl_context context, nixl_list source, nixl_list target,
                                      nixl_request* out) {
    const Call call(context);
    if (!call)
        return last_code();
    if (out == nullptr)
        return refuse_no_output();
    return guarded([&] { return publish(call->transfers().create_lists(source, target), out); });
}

nixl_status nixl_list_of_request(nixl_context context, nixl_request request, uint32_t side,
                                 nixl_list* out) {
    const Call call(context);
    if (!call)
        return last_code();
    if (out == nullptr)
        return refuse_no_output();
    const Request* const slot = call->transfers().find(request);
    if (slot == nullptr)
        return refuse_stale();
    if (side > NIXL_SIDE_TARGET)
        return fail(Error(Code::INVALID_ARGUMENT, "there is no side " + std::to_string(side),
                          "0 is the source, 1 the target"));
    return guarded(
        [&] { return to_status(call->transfers().list_of(*slot, side == NIXL_SIDE_SOURCE), out); });
}

} // extern "C"
