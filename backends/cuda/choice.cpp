// SPDX-License-Identifier: Apache-2.0
// HOT. The cost model. Its figures are in costs/figures.h, or in the file that cuda.cost_table
// names.
#include "choice.h"

#include <algorithm>

#include "entry_list.h"

namespace nixl::core::cuda {
namespace {

/// Runs or indices that are looked at: neighbours, at some places of the list.
constexpr uint64_t SAMPLE = 64, NEIGHBOURS = 4;
uint64_t sample(uint64_t i, uint64_t count) noexcept {
    return count <= SAMPLE ? i : i / NEIGHBOURS * (count / (SAMPLE / NEIGHBOURS)) + i % NEIGHBOURS;
}

static_assert(BULK_CHUNK_BYTES == BulkShape::CHUNK_BYTES);

const WayCosts& costs_of(const CostTable& costs, const WorkShape& shape) noexcept {
    switch (shape.way) {
    case Way::IN:
        return costs.in;
    case Way::OUT:
        return costs.out;
    case Way::WITHIN:
        return costs.within;
    case Way::ACROSS:
        break;
    }
    return shape.is_read ? costs.read : costs.written;
}

bool is_bulk_ready(Address source, Address target, uint64_t bytes) noexcept {
    return EntryList::is_aligned(source, target, bytes) ||
           EntryList::is_in_step(source, target, bytes);
}

bool is_dense(const nixl_run& run) noexcept {
    return run.count == 1 || (static_cast<uint64_t>(run.source_stride) == run.bytes &&
                              static_cast<uint64_t>(run.target_stride) == run.bytes);
}

void scale(WorkShape* shape, uint64_t elements) noexcept {
    const double factor = static_cast<double>(elements) / static_cast<double>(shape->elements);
    shape->pieces = static_cast<uint64_t>(static_cast<double>(shape->pieces) * factor);
    shape->bytes = static_cast<uint64_t>(static_cast<double>(shape->bytes) * factor);
    shape->elements = elements;
}

WorkShape shape_of_lists(const nixl_batch& batch) noexcept {
    const auto& source = *static_cast<const Prepared*>(batch.prepared_source);
    const auto& target = *static_cast<const Prepared*>(batch.prepared_target);
    const uint64_t elements = batch.first_element + batch.element_count;
    WorkShape shape;
    shape.elements = std::min(elements, SAMPLE);
    shape.is_aligned =
        is_bulk_ready(source.address_bits(), target.address_bits(), source.average_bytes());
    Piece before{};
    for (uint64_t i = 0; i < shape.elements; ++i) {
        const bool by_index = batch.source_indices != nullptr;
        const uint64_t at = sample(i, elements);
        const Piece piece = piece_of(source.block(by_index ? batch.source_indices[at] : at),
                                     target.block(by_index ? batch.target_indices[at] : at));
        shape.pieces += before.is_followed_by(piece) ? 0 : 1;
        shape.bytes += piece.bytes;
        before = piece;
    }
    scale(&shape, elements);
    return shape;
}

/// Whether every region of the batch is open to the kernels of the GPU that works on it.
bool can_reach(const nixl_batch& batch, const Gpu& gpu) noexcept {
    if (batch.prepared_source != nullptr) {
        for (const void* list : {batch.prepared_source, batch.prepared_target})
            for (const Region* const region : static_cast<const Prepared*>(list)->regions())
                if (!region->is_open_to(gpu))
                    return false;
        return true;
    }
    return std::all_of(
        batch.pairs, batch.pairs + batch.pair_count, [&](const nixl_region_pair& pair) {
            const auto *const source = static_cast<const Region*>(pair.source.registration),
                              *const target = static_cast<const Region*>(pair.target.registration);
            return source->is_open_to(gpu) && target->is_open_to(gpu);
        });
}

} // namespace

Way way_of(const Piece& piece) noexcept {
    const Gpu *const source = piece.source_region->gpu, *const target = piece.target_region->gpu;
    if (source == nullptr)
        return Way::IN;
    if (target == nullptr)
        return Way::OUT;
    return source == target ? Way::WITHIN : Way::ACROSS;
}

const char* name_of(Engine engine) noexcept {
    switch (engine) {
    case Engine::COPY:
        return "copy engine";
    case Engine::BATCH:
        return "copy engine (batches)";
    case Engine::BULK_KERNEL:
        return "gather kernel (bulk copies)";
    case Engine::PLAIN_KERNEL:
        return "gather kernel (loads and stores)";
    }
    return "";
}

WorkShape shape_of(const nixl_batch& batch) noexcept {
    if (batch.prepared_source != nullptr)
        return shape_of_lists(batch);
    WorkShape shape;
    const uint64_t looked_at = std::min(batch.run_count, SAMPLE);
    Piece before{};
    for (uint64_t i = 0; i < looked_at; ++i) {
        const nixl_run& run = batch.runs[sample(i, batch.run_count)];
        Piece piece =
            piece_of(batch.pairs[run.pair], run.source_offset, run.target_offset, run.bytes);
        const uint64_t strides = strides_of(run);
        shape.is_aligned = shape.is_aligned &&
                           is_bulk_ready(piece.source | strides, piece.target | strides, run.bytes);
        shape.elements += run.count;
        shape.bytes += run.count * run.bytes;
        shape.pieces += is_dense(run) ? 1 : run.count;
        shape.pieces -= is_dense(run) && before.is_followed_by(piece) ? 1 : 0;
        piece.bytes = is_dense(run) ? run.count * run.bytes : 0;
        before = piece;
    }
    if (looked_at < batch.run_count)
        scale(&shape, batch.first_element + batch.element_count);
    return shape;
}

double expected_ns(Engine engine, const WorkShape& shape, uint32_t multiprocessors,
                   const CostTable& costs) noexcept {
    const WayCosts& way = costs_of(costs, shape);
    const auto bytes = static_cast<double>(shape.bytes),
               elements = static_cast<double>(shape.elements);
    if (engine == Engine::COPY)
        return costs.copy_start_ns + static_cast<double>(shape.pieces) * way.copy_ns +
               bytes / way.copy_bytes_per_ns;
    const double chunks = std::max(elements, bytes / BULK_CHUNK_BYTES);
    const bool is_bulk = engine == Engine::BULK_KERNEL;
    const double work =
        is_bulk ? chunks * costs.bulk_chunk_ns + bytes / costs.bulk_on_one_bytes_per_ns
                : std::max(elements * way.plain_element_ns, bytes / way.plain_on_one_bytes_per_ns);
    return costs.kernel_start_ns + elements * costs.listed_ns +
           std::max(bytes / (is_bulk ? way.bulk_bytes_per_ns : way.plain_bytes_per_ns),
                    work / multiprocessors);
}

Choice choose(const nixl_batch& batch, const EnginePolicy& policy) noexcept {
    using Rule = EnginePolicy::Rule;
    const bool is_one = batch.first_element + batch.element_count == 1;
    if (policy.rule == Rule::COPY || (policy.rule == Rule::AUTO && is_one))
        return {};
    const Piece first = Elements(batch).here();
    const Gpu* const gpu = gpu_of(first, policy.rule != Rule::BATCH && policy.at_target);
    if (policy.rule == Rule::BATCH)
        return {gpu == nullptr || is_one || gpu->driver.call.copy_batch == nullptr ? Engine::COPY
                                                                                   : Engine::BATCH};
    if (gpu == nullptr || !gpu->kernels.any() || !can_reach(batch, *gpu))
        return {};
    WorkShape shape = shape_of(batch);
    shape.way = way_of(first);
    shape.is_read = policy.at_target;
    const uint32_t most = gpu->kernels.multiprocessors();
    const uint32_t used = policy.sm_budget == 0 ? most : std::min(policy.sm_budget, most);
    const auto better = [&](Engine a, Engine b) {
        return expected_ns(b, shape, used, *policy.costs) <
                       expected_ns(a, shape, used, *policy.costs)
                   ? b
                   : a;
    };
    Engine kernel = Engine::PLAIN_KERNEL;
    if (shape.is_aligned && gpu->kernels.has_bulk() && policy.rule != Rule::PLAIN)
        kernel =
            policy.rule == Rule::BULK ? Engine::BULK_KERNEL : better(kernel, Engine::BULK_KERNEL);
    if (policy.rule != Rule::AUTO)
        return {kernel};
    const bool are_short = shape.bytes / shape.elements < LONG_ELEMENT / 4;
    return {better(Engine::COPY, kernel), are_short ? LONG_ELEMENT : UINT64_MAX};
}

} // namespace nixl::core::cuda
