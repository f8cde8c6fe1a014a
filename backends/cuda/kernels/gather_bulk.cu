// SPDX-License-Identifier: Apache-2.0
// Bulk copies of Hopper and later GPUs: one thread of each warp drives a ring of stages in shared
// memory, loading ahead of what it stores. 16-byte aligned elements whose lengths are multiples of
// 16. Instructions: PTX ISA 8.0, cp.async.bulk and mbarrier.
#include "walk.h"

namespace nixl::core::cuda {
namespace {

constexpr uint32_t WARPS = BulkShape::WARPS, STAGES = BulkShape::STAGES,
                   CHUNK_BYTES = BulkShape::CHUNK_BYTES, AHEAD = 3;

#define DEVICE __attribute__((device)) inline

DEVICE uint32_t shared_address(const void* pointer) {
    uint32_t address = 0;
    asm("{ .reg .u64 wide; cvta.to.shared.u64 wide, %1; cvt.u32.u64 %0, wide; }"
        : "=r"(address)
        : "l"(pointer));
    return address;
}

DEVICE void init_barrier(uint32_t barrier) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(barrier) : "memory");
}

DEVICE void load(uint32_t room, uint64_t source, uint32_t bytes, uint32_t barrier) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier),
                 "r"(bytes)
                 : "memory");
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], "
                 "%2, [%3];" ::"r"(room),
                 "l"(source), "r"(bytes), "r"(barrier)
                 : "memory");
}

DEVICE void wait_loaded(uint32_t barrier, uint32_t parity) {
    uint32_t done = 0;
    while (done == 0)
        asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; "
                     "selp.u32 %0, 1, 0, p; }"
                     : "=r"(done)
                     : "r"(barrier), "r"(parity)
                     : "memory");
}

DEVICE void store(uint64_t target, uint32_t room, uint32_t bytes) {
    asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(target),
                 "r"(room), "r"(bytes)
                 : "memory");
    asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}

struct Stage {
    uint64_t target;
    uint32_t bytes;
};

__attribute__((shared)) __attribute__((aligned(8))) uint64_t barriers[WARPS * STAGES];
__attribute__((shared)) Stage stages[WARPS * STAGES];

} // namespace

extern "C" {
extern __attribute__((shared)) __attribute__((aligned(128))) char nixl_rooms[]; // sized at launch

__attribute__((global)) __attribute__((launch_bounds(BulkShape::THREADS))) void nixl_gather_bulk(const CopyList list) {
    const uint32_t thread = __nvvm_read_ptx_sreg_tid_x();
    if (thread % 32 != 0)
        return;
    const uint32_t warp = thread / 32;
    const uint32_t room = shared_address(nixl_rooms) + warp * STAGES * CHUNK_BYTES;
    const uint32_t barrier = shared_address(barriers + warp * STAGES);
    Stage* const stage = stages + warp * STAGES;
    for (uint32_t i = 0; i < STAGES; ++i)
        init_barrier(barrier + 8 * i);
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");

    const uint64_t blocks = __nvvm_read_ptx_sreg_nctaid_x();
    Walk walk(list, warp * blocks + __nvvm_read_ptx_sreg_ctaid_x(), blocks * WARPS, CHUNK_BYTES);
    uint64_t loaded = 0, stored = 0;
    uint32_t load_stage = 0, store_stage = 0, parity = 0;
    bool more = true;
    while (more || stored < loaded) {
        Chunk chunk;
        more = more && walk.next(&chunk);
        if (more) {
            // The stage is free when all but the newest stores have read theirs.
            asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(STAGES - 1 - AHEAD) : "memory");
            stage[load_stage] = {chunk.target, chunk.bytes};
            load(room + load_stage * CHUNK_BYTES, chunk.source, chunk.bytes,
                 barrier + 8 * load_stage);
            load_stage = load_stage + 1 == STAGES ? 0 : load_stage + 1;
            ++loaded;
        }
        if (loaded - stored > AHEAD || (!more && stored < loaded)) {
            wait_loaded(barrier + 8 * store_stage, parity);
            store(stage[store_stage].target, room + store_stage * CHUNK_BYTES,
                  stage[store_stage].bytes);
            store_stage = store_stage + 1 == STAGES ? 0 : store_stage + 1;
            parity ^= store_stage == 0 ? 1u : 0u;
            ++stored;
        }
    }
    asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
    asm volatile("fence.acq_rel.sys;" ::: "memory");
}
}

} // namespace nixl::core::cuda
