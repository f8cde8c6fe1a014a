// SPDX-License-Identifier: Apache-2.0
// Injects failures that the backend ABI allows, repeatably by seed, so that the core and every
// backend's tests meet what hardware does on a bad day. It keeps the contract itself: each accepted
// element is completed exactly once, unless it is held on purpose.
//
// Settings (rates are probabilities 0..1, default 0):
//   fault.seed          the same seed and the same calls give the same faults; default 1
//   fault.error_rate    per element: IO_ERROR with detail EIO, nothing of it moves
//   fault.short_rate    per element of a run, of 2 bytes or more: only a prefix moves, and says so
//   fault.refuse_rate   per submit(): fewer elements are accepted, often none
//   fault.delay_rate    per completion: it appears some polls later
//   fault.split_rate    per completion of several elements: it comes in two pieces
//   fault.reorder_rate  per completion: it overtakes others
//   fault.hold_rate     per completion: it never comes until cancel() of its tag ...
//   fault.hold_forever  ... and with `true` not even then: the queue can't be closed any more
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <nixl/sdk/op_cursor.hpp>

#include "backends/decorators/fault/random.h"
#include "backends/decorators/forward.h"

namespace nixl::core {

struct FaultPolicy {
    explicit FaultPolicy(const sdk::Host& host);

    uint64_t seed;
    double error_rate, short_rate, refuse_rate, delay_rate, split_rate, reorder_rate, hold_rate;
    bool hold_forever;
};

/// Allocates at open only.
class FaultQueue : public ForwardQueue {
  public:
    static constexpr const char* NAME = "fault";

    explicit FaultQueue(const ForwardTarget& target);

    uint64_t submit(const nixl_batch& batch) noexcept;
    uint32_t poll(nixl_completion* out, uint32_t capacity) noexcept;
    void cancel(uint64_t tag) noexcept;
    int arm() noexcept;
    int fd() noexcept;
    nixl_status notify(nixl_peer_id peer, const void* message, uint64_t bytes,
                       uint64_t tag) noexcept;

  private:
    enum class Fault : uint8_t { NONE, ERROR, SHORT };

    /// One call of the inner submit(). It gets a tag of its own, so that a shortened element can be
    /// a batch of one run that lives here.
    struct Part {
        uint64_t tag = 0;
        uint64_t serial = 0; // decides its completions' faults
        uint64_t first_element = 0;
        uint64_t elements_left = 0; // until the inner backend completed all
        uint32_t generation = 0;
        bool is_open = false;
        bool has_runs = false; // `start` is valid
        sdk::OpCursor start;   // at first_element, in the core's runs
        nixl_run shortened{};  // used when `is_short`
        bool is_short = false;
        bool is_cancelled = false; // nothing of it is held any more
    };

    /// A completion on its way to the core.
    struct Waiting {
        nixl_completion entry;
        uint32_t polls; // until it appears
        bool held;
    };

    uint64_t refused(const nixl_batch& batch, Random& random) noexcept;
    uint64_t submit_part(const nixl_batch& batch, const sdk::OpCursor* at, uint64_t first,
                         uint64_t count) noexcept;
    bool inject(Fault fault, const nixl_batch& batch, const sdk::OpCursor* at, uint64_t element,
                Random& random) noexcept;
    bool submit_short(const nixl_batch& batch, const sdk::OpCursor& at, uint64_t bytes) noexcept;
    Fault pick_fault(const sdk::OpCursor* at, Random& random) const noexcept;

    Part* open_part() noexcept;
    [[nodiscard]] uint64_t inner_tag(const Part& part) const noexcept;

    void take_from_inner() noexcept;
    void arrive(const nixl_completion& entry) noexcept;
    void enqueue(const nixl_completion& entry, bool may_hold, Random& random) noexcept;
    uint64_t bytes_of(const Part& part, uint64_t first, uint64_t count) const noexcept;
    [[nodiscard]] uint64_t room() const noexcept { return waiting_.capacity() - waiting_.size(); }

    const FaultPolicy policy_;
    const uint64_t seed_; // of this queue
    uint64_t submits_ = 0;
    uint64_t parts_started_ = 0;
    uint64_t in_flight_ = 0; // elements, held ones included
    bool was_refused_ = false;
    std::vector<Part> parts_;      // their number is fixed: inner backends point into them
    std::vector<Waiting> waiting_; // never grows beyond its first capacity
};

} // namespace nixl::core
