// SPDX-License-Identifier: Apache-2.0
// The backend for host memory within one process: settings, capabilities and the table.
//
// Elements of a batch are copied in any order. Where source and target of one element overlap, the
// result is that of memmove; an overlap between different elements gives either's bytes.
#include <algorithm>
#include <cstdint>
#include <iterator>

#include <nixl/sdk/error_text.hpp>
#include <nixl/sdk/host.hpp>
#include <nixl/sdk/table.hpp>

#include "backends/memcpy/queue.h"

namespace nixl::core {
namespace {

constexpr uint64_t KIB = 1024;

/// A copy of 64 bytes takes some 20 ns. Rates are of memory, not of cache: one thread moves about
/// 10 GB/s, and each doubling of the threads gives about half as much again. First guesses only;
/// the router measures.
struct Estimate {
    uint32_t workers;
    nixl_kind_pair pairs[4];
};

constexpr Estimate estimate(uint32_t workers, double bytes_per_ns) {
    constexpr double LATENCY_NS = 20.0;
    constexpr uint16_t HOST = NIXL_KIND_HOST;
    constexpr uint16_t PINNED = NIXL_KIND_PINNED;
    return {workers,
            {{HOST, HOST, 0, LATENCY_NS, bytes_per_ns},
             {HOST, PINNED, 0, LATENCY_NS, bytes_per_ns},
             {PINNED, HOST, 0, LATENCY_NS, bytes_per_ns},
             {PINNED, PINNED, 0, LATENCY_NS, bytes_per_ns}}};
}

constexpr Estimate ESTIMATES[] = {estimate(0, 10.0), estimate(2, 15.0), estimate(4, 23.0),
                                  estimate(8, 34.0), estimate(16, 50.0)};

/// Settings, with the reasons for their defaults.
CopyPolicy policy_of(const sdk::Host& host) {
    CopyPolicy policy{};
    // Some 4 us of copying: what handing work to a parked thread costs at best.
    policy.inline_bytes = host.number("inline_copy_bytes", 128 * KIB);
    // Waking a parked worker takes 10 to 15 us on a virtual machine. On two CPUs, from cache to
    // cache, a copy now and then takes alone and with such a worker: 256 KiB 6 and 19 us, 512 KiB
    // 13 and 25, 1 MiB 23 to 31 and 41. Back to back, with a warm one: 5 and 3.7, 11 and 6.7, 23
    // and 15.
    policy.workers = host.workers();
    policy.waited_inline_bytes =
        std::max(policy.inline_bytes, host.number("memcpy.waited_inline_bytes", 1024 * KIB));
    // Long enough that taking one is noise, short enough that threads end together.
    policy.slice_bytes = host.number("memcpy.slice_bytes", 64 * KIB, 4 * KIB);
    policy.burst_bytes = 2 * policy.slice_bytes;
    // A thread takes its share of the rest, but no more than some 100 us of cold memory.
    policy.share_bytes =
        std::max(policy.slice_bytes, host.number("memcpy.share_bytes", 1024 * KIB, 4 * KIB));
    policy.worker_bytes = 8 * policy.slice_bytes;
    policy.stream_bytes = host.number("memcpy.stream_bytes", default_stream_bytes(), 4 * KIB);
    policy.stream = choose_stream_function();
    policy.open_spans = static_cast<uint32_t>(host.number("memcpy.open_spans", 256, 1, 256));
    return policy;
}

class MemcpyBackend {
  public:
    static constexpr const char* NAME = "memcpy";

    class Queue : public CopyQueue {
      public:
        Queue(MemcpyBackend& backend, uint32_t depth, void* host_queue)
            : CopyQueue(backend.host_, backend.policy_, depth, host_queue) {}
    };

    static nixl_status probe(const sdk::Host& host, nixl_caps* out, nixl_error_text*) {
        const Estimate* best = ESTIMATES;
        for (const Estimate& candidate : ESTIMATES)
            if (host.workers() >= candidate.workers)
                best = &candidate;
        // Without a pool everything is copied inside submit(), which is finished then as well.
        out->flags = NIXL_CAP_SELF_DRIVEN | NIXL_CAP_CANCEL_FENCES;
        out->pairs = best->pairs;
        out->pair_count = static_cast<uint32_t>(std::size(best->pairs));
        out->detail = choose_stream_function() != nullptr ? "threads, streaming" : "threads";
        return NIXL_OK;
    }

    explicit MemcpyBackend(const sdk::Host& host) : host_(host), policy_(policy_of(host)) {}

  private:
    const sdk::Host host_;
    const CopyPolicy policy_;
};

} // namespace
} // namespace nixl::core

extern "C" nixl_status nixl_backend_entry_memcpy(const nixl_host_v1* host, nixl_backend_v1* out) {
    return nixl::sdk::fill_table<nixl::core::MemcpyBackend>(host, out);
}
