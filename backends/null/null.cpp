// SPDX-License-Identifier: Apache-2.0
// HOT. The backend that moves nothing: it reads every element and answers at once. It exists to
// measure what the core itself costs, so it must be asked for (setting null.enable) and marks its
// results simulated.
#include <cstdint>
#include <iterator>

#include <nixl/sdk/completion_ring.hpp>
#include <nixl/sdk/error_text.hpp>
#include <nixl/sdk/host.hpp>
#include <nixl/sdk/table.hpp>

namespace nixl::core {
namespace {

/// Faster than anything real, so that the router picks it wherever it is on.
constexpr double LATENCY_NS = 1.0;
constexpr double BYTES_PER_NS = 1e6;

constexpr nixl_kind_pair pair(uint16_t source, uint16_t target) {
    return {source, target, 0, LATENCY_NS, BYTES_PER_NS};
}

constexpr nixl_kind_pair KIND_PAIRS[] = {
    pair(NIXL_KIND_HOST, NIXL_KIND_HOST),   pair(NIXL_KIND_HOST, NIXL_KIND_PINNED),
    pair(NIXL_KIND_HOST, NIXL_KIND_FILE),   pair(NIXL_KIND_HOST, NIXL_KIND_BLOCK),
    pair(NIXL_KIND_PINNED, NIXL_KIND_HOST), pair(NIXL_KIND_PINNED, NIXL_KIND_PINNED),
    pair(NIXL_KIND_PINNED, NIXL_KIND_FILE), pair(NIXL_KIND_PINNED, NIXL_KIND_BLOCK),
    pair(NIXL_KIND_FILE, NIXL_KIND_HOST),   pair(NIXL_KIND_FILE, NIXL_KIND_PINNED),
    pair(NIXL_KIND_FILE, NIXL_KIND_FILE),   pair(NIXL_KIND_FILE, NIXL_KIND_BLOCK),
    pair(NIXL_KIND_BLOCK, NIXL_KIND_HOST),  pair(NIXL_KIND_BLOCK, NIXL_KIND_PINNED),
    pair(NIXL_KIND_BLOCK, NIXL_KIND_FILE),  pair(NIXL_KIND_BLOCK, NIXL_KIND_BLOCK),
};

constexpr uint32_t RING_ENTRIES = 256;

/// What reading a batch yields: the bytes it stands for, and a sum over every element that keeps
/// the compiler from dropping the walk.
struct Reading {
    uint64_t bytes = 0;
    uint64_t sum = 0;
};

inline void read_run(const nixl_run& run, uint64_t first, uint64_t count,
                     Reading* reading) noexcept {
    uint64_t source = run.source_offset;
    uint64_t target = run.target_offset;
    reading->bytes += run.bytes * count;
    if (first != 0) {
        source += first * static_cast<uint64_t>(run.source_stride);
        target += first * static_cast<uint64_t>(run.target_stride);
    }
    uint64_t sum = reading->sum;
    for (uint64_t left = count;;) {
        // A mixture of xor and add has no closed form, so the loop stays a loop.
        sum = (sum ^ source) + target;
        if (--left == 0)
            break;
        source += static_cast<uint64_t>(run.source_stride);
        target += static_cast<uint64_t>(run.target_stride);
    }
    reading->sum = sum;
}

class NullBackend {
  public:
    static constexpr const char* NAME = "null";

    class Queue {
      public:
        Queue(NullBackend&, uint32_t, void*) : finished_(RING_ENTRIES) {}

        uint64_t submit(const nixl_batch& batch) noexcept {
            if (finished_.full() || batch.runs == nullptr)
                return 0;
            Reading reading;
            const nixl_run* run = batch.runs + batch.first_run;
            uint64_t left = batch.element_count;
            for (uint64_t first = batch.first_in_run; left != 0; first = 0, ++run) {
                const uint64_t here = run->count - first < left ? run->count - first : left;
                read_run(*run, first, here, &reading);
                left -= here;
            }
            sum_ = sum_ + reading.sum;
            finished_.add_whole(
                sdk::whole(batch.tag, batch.first_element, batch.element_count, reading.bytes));
            return batch.element_count;
        }

        uint32_t poll(nixl_completion* out, uint32_t capacity) noexcept {
            return finished_.take(out, capacity);
        }

        /// Everything is complete before submit() returns.
        void cancel(uint64_t) noexcept {}

        bool arm() noexcept { return finished_.empty(); }

      private:
        sdk::CompletionRing finished_;
        volatile uint64_t sum_ = 0;
    };

    static nixl_status probe(const sdk::Host& host, nixl_caps* out, nixl_error_text* error) {
        if (!host.flag("null.enable", false))
            return sdk::fail(error, NIXL_UNSUPPORTED, 0,
                             "null moves nothing; set null.enable=true to measure with it");
        out->flags = NIXL_CAP_SELF_DRIVEN | NIXL_CAP_CANCEL_FENCES | NIXL_CAP_SIMULATED;
        out->pairs = KIND_PAIRS;
        out->pair_count = static_cast<uint32_t>(std::size(KIND_PAIRS));
        return NIXL_OK;
    }

    explicit NullBackend(const sdk::Host& host) : enabled_(host.flag("null.enable", false)) {}

    nixl_status open(nixl_error_text* error) const {
        return enabled_ ? NIXL_OK
                        : sdk::fail(error, NIXL_UNSUPPORTED, 0, "null.enable is not true");
    }

  private:
    bool enabled_;
};

} // namespace
} // namespace nixl::core

extern "C" nixl_status nixl_backend_entry_null(const nixl_host_v1* host, nixl_backend_v1* out) {
    return nixl::sdk::fill_table<nixl::core::NullBackend>(host, out);
}
