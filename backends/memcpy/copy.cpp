// SPDX-License-Identifier: Apache-2.0
// HOT. Loops over elements, and the streaming kernels of x86. Elsewhere memmove does all of it.
#include "backends/memcpy/copy.h"

#include <unistd.h>

#include <algorithm>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace nixl::core {
namespace {

constexpr uint64_t LINE_BYTES = 64;

/// Scattered elements start cold: the processor's own prefetcher needs a few lines of a page before
/// it runs ahead. Four lines, eight elements ahead, are what measures best from 64 bytes to 64 KiB.
constexpr uint64_t AHEAD_ELEMENTS = 8;

inline void prefetch_start(const unsigned char* source, uint64_t bytes) noexcept {
    __builtin_prefetch(source);
    if (bytes <= LINE_BYTES)
        return;
    __builtin_prefetch(source + LINE_BYTES);
    if (bytes > 2 * LINE_BYTES) {
        __builtin_prefetch(source + 2 * LINE_BYTES);
        __builtin_prefetch(source + 3 * LINE_BYTES); // harmless where it lies behind the element
    }
}

inline const unsigned char* source_of(const nixl_region_pair* pairs, const nixl_run& run) noexcept {
    return static_cast<const unsigned char*>(pairs[run.pair].source.base) + run.source_offset;
}

inline unsigned char* target_of(const nixl_region_pair* pairs, const nixl_run& run) noexcept {
    return static_cast<unsigned char*>(pairs[run.pair].target.base) + run.target_offset;
}

/// How many runs of one element `runs` starts with; looks at `most` of them.
uint64_t count_single_runs(const nixl_run* runs, uint64_t most) noexcept {
    uint64_t count = 0;
    while (count < most && runs[count].count == 1)
        ++count;
    return count;
}

/// Copies `count` runs of one element each. Two loops, because the test for streaming costs as much
/// as a small element does.
template <bool STREAMED> void copy_single_runs(const nixl_region_pair* pairs, const nixl_run* runs,
                                               uint64_t count, StreamFunction stream) noexcept {
    for (uint64_t i = 0; i < std::min(count, AHEAD_ELEMENTS); ++i)
        prefetch_start(source_of(pairs, runs[i]), runs[i].bytes);
    for (uint64_t i = 0; i < count; ++i) {
        if (i + AHEAD_ELEMENTS < count) {
            const nixl_run& ahead = runs[i + AHEAD_ELEMENTS];
            prefetch_start(source_of(pairs, ahead), ahead.bytes);
        }
        const nixl_run& run = runs[i];
        if constexpr (STREAMED)
            copy_range(target_of(pairs, run), source_of(pairs, run), run.bytes, stream);
        else
            std::memmove(target_of(pairs, run), source_of(pairs, run), run.bytes);
    }
}

/// Elements that lie one behind the other on both sides are one range.
inline bool is_contiguous(const nixl_run& run) noexcept {
    return static_cast<uint64_t>(run.source_stride) == run.bytes &&
           static_cast<uint64_t>(run.target_stride) == run.bytes;
}

/// Copies `count` elements of one run, from these addresses on.
void copy_strided(const nixl_run& run, unsigned char* target, const unsigned char* source,
                  uint64_t count, StreamFunction stream) noexcept {
    if (is_contiguous(run)) {
        copy_range(target, source, run.bytes * count, stream);
        return;
    }
    for (uint64_t left = count; left != 0; --left) {
        if (left > AHEAD_ELEMENTS)
            prefetch_start(source + run.source_stride * int64_t{AHEAD_ELEMENTS}, run.bytes);
        copy_range(target, source, run.bytes, stream);
        source += run.source_stride;
        target += run.target_stride;
    }
}

#if defined(__x86_64__)

constexpr size_t AHEAD_BYTES = 512; // how far the source is prefetched

__attribute__((target("avx2"))) void stream_avx2(unsigned char* target, const unsigned char* source,
                                                 size_t bytes) noexcept {
    const size_t head = std::min<size_t>(bytes, (0 - reinterpret_cast<uintptr_t>(target)) & 31u);
    std::memcpy(target, source, head);
    target += head;
    source += head;
    bytes -= head;
    for (; bytes >= 128; bytes -= 128, source += 128, target += 128) {
        const auto* from = reinterpret_cast<const __m256i*>(source);
        auto* to = reinterpret_cast<__m256i*>(target);
        _mm_prefetch(reinterpret_cast<const char*>(source + AHEAD_BYTES), _MM_HINT_NTA);
        _mm_prefetch(reinterpret_cast<const char*>(source + AHEAD_BYTES + 64), _MM_HINT_NTA);
        const __m256i a = _mm256_loadu_si256(from);
        const __m256i b = _mm256_loadu_si256(from + 1);
        const __m256i c = _mm256_loadu_si256(from + 2);
        const __m256i d = _mm256_loadu_si256(from + 3);
        _mm256_stream_si256(to, a);
        _mm256_stream_si256(to + 1, b);
        _mm256_stream_si256(to + 2, c);
        _mm256_stream_si256(to + 3, d);
    }
    std::memcpy(target, source, bytes);
}

void stream_sse2(unsigned char* target, const unsigned char* source, size_t bytes) noexcept {
    const size_t head = std::min<size_t>(bytes, (0 - reinterpret_cast<uintptr_t>(target)) & 15u);
    std::memcpy(target, source, head);
    target += head;
    source += head;
    bytes -= head;
    for (; bytes >= 64; bytes -= 64, source += 64, target += 64) {
        const auto* from = reinterpret_cast<const __m128i*>(source);
        auto* to = reinterpret_cast<__m128i*>(target);
        _mm_prefetch(reinterpret_cast<const char*>(source + AHEAD_BYTES), _MM_HINT_NTA);
        const __m128i a = _mm_loadu_si128(from);
        const __m128i b = _mm_loadu_si128(from + 1);
        const __m128i c = _mm_loadu_si128(from + 2);
        const __m128i d = _mm_loadu_si128(from + 3);
        _mm_stream_si128(to, a);
        _mm_stream_si128(to + 1, b);
        _mm_stream_si128(to + 2, c);
        _mm_stream_si128(to + 3, d);
    }
    std::memcpy(target, source, bytes);
}

#endif

} // namespace

StreamFunction choose_stream_function() noexcept {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") ? stream_avx2 : stream_sse2;
#else
    return nullptr;
#endif
}

void stream_fence() noexcept {
#if defined(__x86_64__)
    _mm_sfence();
#endif
}

uint64_t default_stream_bytes() noexcept {
    constexpr uint64_t LEAST = 4u << 20;
    constexpr uint64_t UNKNOWN = 8u << 20;
#if defined(_SC_LEVEL3_CACHE_SIZE)
    const long cache_bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
#else
    const long cache_bytes = 0;
#endif
    // A quarter: source and target fill half of the cache, other cores and the caller use the rest.
    return cache_bytes <= 0 ? UNKNOWN
                            : std::max<uint64_t>(LEAST, static_cast<uint64_t>(cache_bytes) / 4);
}

void copy_elements(const sdk::OpCursor& cursor, uint64_t count, StreamFunction stream) noexcept {
    const nixl_region_pair* const pairs = cursor.pairs();
    const nixl_run* run = &cursor.run();
    const unsigned char* source = cursor.source();
    unsigned char* target = cursor.target();
    uint64_t here = std::min(cursor.left_in_run(), count);
    for (;;) {
        if (run->count == 1) {
            // In stretches that stay in the first-level cache from the count to the copy.
            const uint64_t single = count_single_runs(run, std::min<uint64_t>(count, 256));
            if (stream != nullptr)
                copy_single_runs<true>(pairs, run, single, stream);
            else
                copy_single_runs<false>(pairs, run, single, stream);
            run += single;
            count -= single;
        } else {
            copy_strided(*run, target, source, here, stream);
            ++run;
            count -= here;
        }
        if (count == 0)
            return;
        source = source_of(pairs, *run);
        target = target_of(pairs, *run);
        here = std::min(run->count, count);
    }
}

} // namespace nixl::core
