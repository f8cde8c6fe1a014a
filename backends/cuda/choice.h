// SPDX-License-Identifier: Apache-2.0
// HOT. Which engine moves a batch: copy engines, piece by piece, or a kernel, all at once.
#pragma once

#include <cstdint>

#include "costs/figures.h"
#include "elements.h"

namespace nixl::core::cuda {

/// Which way bytes go, seen from the GPU that moves them. The hardware has a copy engine for each.
enum class Way : uint32_t { IN, OUT, WITHIN, ACROSS };

Way way_of(const Piece& piece) noexcept;

/// BATCH: copy engines, told of many copies in one call.
enum class Engine : uint8_t { COPY, BATCH, BULK_KERNEL, PLAIN_KERNEL };

inline bool is_kernel(Engine engine) noexcept {
    return engine == Engine::BULK_KERNEL || engine == Engine::PLAIN_KERNEL;
}

/// For people: "copy engine".
const char* name_of(Engine engine) noexcept;

/// The settings `cuda.engine`, `cuda.sm_budget`, `cuda.kernel_gpu` and `cuda.cost_table`.
struct EnginePolicy {
    /// BULK: that kernel where elements and GPU allow it, else the plain one. KERNEL: the faster.
    enum class Rule : uint8_t { AUTO, COPY, BATCH, KERNEL, BULK, PLAIN } rule = Rule::AUTO;
    uint32_t sm_budget = 8;                   ///< multiprocessors that a kernel may use; 0: all
    bool at_target = true;                    ///< between GPUs: which of them runs the kernel
    const CostTable* costs = &BUILT_IN_COSTS; ///< outlives all policies; never null

    [[nodiscard]] bool uses_kernels() const noexcept {
        return rule != Rule::COPY && rule != Rule::BATCH;
    }
};

/// What the choice goes by.
struct WorkShape {
    Way way = Way::WITHIN;
    bool is_read = false; ///< between GPUs: the kernel runs on the target
    uint64_t pieces = 0;  ///< neighbours count as one
    uint64_t elements = 0;
    uint64_t bytes = 0;
    bool is_aligned = true; ///< for the bulk kernel
};

/// Of the whole batch, but for the way it goes: a look at its first elements.
WorkShape shape_of(const nixl_batch& batch) noexcept;

/// What the work takes an engine, in ns, but BATCH, which is taken where it is asked for; the model
/// is in choice.cpp.
double expected_ns(Engine engine, const WorkShape& shape, uint32_t multiprocessors,
                   const CostTable& costs) noexcept;

struct Choice {
    Engine engine = Engine::COPY;
    /// Elements of at least so many bytes go through the copy engine all the same: few long ones
    /// among many short ones.
    uint64_t long_bytes = UINT64_MAX;
};

/// The same for every part of a batch. Kernels are not chosen where they cannot reach the memory.
Choice choose(const nixl_batch& batch, const EnginePolicy& policy) noexcept;

/// Whether the memory of both ends is open to this GPU's copy engines.
inline bool can_copy(const Gpu& gpu, const Piece& piece) noexcept {
    return piece.source_region->is_open_to_copies(gpu) &&
           piece.target_region->is_open_to_copies(gpu);
}

/// The GPU that moves the bytes; nullptr: there is none at either end. Copy engines write to the
/// other GPU, since they are as fast either way, unless only the other's can reach both ends.
inline Gpu* gpu_for(const Piece& piece, Engine engine, const EnginePolicy& policy) noexcept {
    Gpu* const gpu = gpu_of(piece, is_kernel(engine) && policy.at_target);
    if (is_kernel(engine) || gpu == nullptr || can_copy(*gpu, piece))
        return gpu;
    Gpu* const other = gpu_of(piece, true);
    return can_copy(*other, piece) ? other : gpu;
}

} // namespace nixl::core::cuda
