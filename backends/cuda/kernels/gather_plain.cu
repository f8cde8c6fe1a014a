// SPDX-License-Identifier: Apache-2.0
// Loads and stores of any alignment, for every GPU: a warp copies a chunk with accesses as wide as
// source, target and length allow.
#include "walk.h"

namespace nixl::core::cuda {
namespace {

constexpr uint32_t LANES = 32;

#define DEVICE __attribute__((device)) inline

typedef uint32_t Wide __attribute__((ext_vector_type(4)));

/// Four at a time, so that loads are under way while others are stored.
template <typename Word> DEVICE void copy_words(const Chunk& chunk) {
    const auto* const from = reinterpret_cast<const Word*>(chunk.source);
    auto* const to = reinterpret_cast<Word*>(chunk.target);
    const uint32_t count = chunk.bytes / sizeof(Word), step = LANES;
    uint32_t at = __nvvm_read_ptx_sreg_tid_x() % LANES;
    for (; at + 3 * step < count; at += 4 * step) {
        const Word a = from[at], b = from[at + step], c = from[at + 2 * step],
                   d = from[at + 3 * step];
        to[at] = a;
        to[at + step] = b;
        to[at + 2 * step] = c;
        to[at + 3 * step] = d;
    }
    for (; at < count; at += step)
        to[at] = from[at];
}

} // namespace

// The bound keeps the compiler to the registers that so many threads have.
extern "C" __attribute__((global)) __attribute__((launch_bounds(PlainShape::THREADS))) void
nixl_gather_plain(const CopyList list) {
    const uint64_t blocks = __nvvm_read_ptx_sreg_nctaid_x();
    const uint64_t warp = __nvvm_read_ptx_sreg_tid_x() / LANES;
    Walk walk(list, warp * blocks + __nvvm_read_ptx_sreg_ctaid_x(), blocks * PlainShape::WARPS,
              PlainShape::CHUNK_BYTES);
    for (Chunk chunk; walk.next(&chunk);) {
        const uint64_t misaligned = chunk.source | chunk.target | chunk.bytes;
        if (misaligned % sizeof(Wide) == 0)
            copy_words<Wide>(chunk);
        else if (misaligned % sizeof(uint64_t) == 0)
            copy_words<uint64_t>(chunk);
        else if (misaligned % sizeof(uint32_t) == 0)
            copy_words<uint32_t>(chunk);
        else if (misaligned % sizeof(uint16_t) == 0)
            copy_words<uint16_t>(chunk);
        else
            copy_words<uint8_t>(chunk);
    }
    asm volatile("membar.sys;" ::: "memory");
}

} // namespace nixl::core::cuda
