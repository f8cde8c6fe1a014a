// SPDX-License-Identifier: Apache-2.0
// The work of one queue, whatever engine carries it out: from accepted spans to kernel operations,
// and from their results to completions. HOT
#pragma once

#include <cstdint>
#include <vector>

#include <nixl/sdk/op_cursor.hpp>

#include "operation.h"
#include "shares.h"
#include "sink.h"
#include "waiting_queues.h"

namespace nixl::core::posix {

inline constexpr uint32_t MAX_SPANS = 256; // open submit() calls of one queue

/// Usage by an engine: accept(); while (operation = next()) give it to the kernel; finish() with
/// each result; collect() what ended without the kernel.
///
/// Threads: one thread (the queue's driver).
class Flow {
  public:
    /// `depth_ops`: most operations of one device that are handed out at a time, see Shares.
    /// `number`: of this queue in `waiting`.
    Flow(uint32_t depth_ops, uint64_t merge_bytes, WaitingQueues& waiting, uint32_t number);

    /// All elements of the batch, or none when MAX_SPANS are open.
    [[nodiscard]] uint64_t accept(const nixl_batch& batch) noexcept;

    /// The next operation to give to the kernel, or nullptr: none that may start now.
    [[nodiscard]] Operation* next() noexcept;

    /// `result`: bytes moved, or a negative errno. Needs room for one entry in the sink. The
    /// operation is over, or next() hands it out again for what is left of it.
    void finish(Operation& operation, int64_t result, Sink& sink) noexcept;

    /// The kernel did not even take it: it ends with that errno, through collect().
    void refuse(Operation& operation, int error) noexcept;

    /// Completes what needs no kernel: elements cancelled before they were started, and wrong ones.
    void collect(Sink& sink) noexcept;

    /// Marks the tag; collect() completes the elements that the kernel does not have.
    void cancel(uint64_t tag) noexcept;

    /// poll() would find something to do although nothing comes back from the kernel. What waits
    /// for another queue's writes, and the writes behind it, is none: that queue wakes this one.
    [[nodiscard]] bool has_work() const noexcept {
        return cancelled_spans_ > 0 || ended_count_ > 0 || again_count_ > waiting_count_ ||
               (free_operation_count_ > 0 && first_startable() != NO_SPAN);
    }
    /// Operations in the kernel that come back soon and in crowds: direct and small.
    [[nodiscard]] uint32_t brisk_in_kernel() const noexcept { return brisk_in_kernel_; }
    /// Whether operation `number` has been handed out, for that tag.
    [[nodiscard]] bool is_in_kernel(uint32_t number, uint64_t tag) const noexcept {
        return operations_[number].is_in_kernel && spans_[operations_[number].span].tag == tag;
    }
    /// How many operations there are in all, numbered from 0.
    [[nodiscard]] uint32_t operation_count() const noexcept {
        return static_cast<uint32_t>(operations_.size());
    }
    [[nodiscard]] Operation& operation(uint32_t number) noexcept { return operations_[number]; }
    [[nodiscard]] uint32_t number(const Operation& operation) const noexcept {
        return static_cast<uint32_t>(&operation - operations_.data());
    }

  private:
    static constexpr uint32_t NO_SPAN = UINT32_MAX;

    /// What one submit() brought.
    struct Span {
        // What first_startable() looks at.
        const File* file;       // of the next element; nullptr: there is none, or a wrong one
        uint32_t before, after; // in the list of spans with elements to start
        bool is_write;          // the next element
        bool takes_turns;       // it may, see Region::writes_in_turn
        bool is_open, is_cancelled;

        uint32_t operations; // started and not over
        uint32_t turn_ops;   // started since it came to the front
        uint64_t tag;
        sdk::OpCursor cursor; // at the next element to start
    };

    static void look_at_next(Span& span) noexcept;
    [[nodiscard]] bool has_to_wait(const Span& span) const noexcept;
    [[nodiscard]] bool is_waiting_for(const File& file) const noexcept;
    [[nodiscard]] uint32_t first_startable() const noexcept;
    [[nodiscard]] uint32_t first_uncancelled() const noexcept;
    Operation& take_from(uint32_t span) noexcept;
    bool start(Operation& operation) noexcept;
    void finish_part(Operation& operation, uint64_t moved, Sink& sink) noexcept;
    bool enter_phase(Operation& operation) noexcept;
    void leave_phase(Operation& operation) noexcept;
    void leave_kernel(Operation& operation) noexcept;
    void finish_elements(Operation& operation, uint32_t count) noexcept;
    void finish_failed(Operation& operation, int error, Sink& sink) noexcept;
    void again(Operation& operation) noexcept;
    void end(Operation& operation, int error) noexcept;
    void release(Operation& operation) noexcept;
    void close_if_done(uint32_t span) noexcept;
    void queue_last(uint32_t span) noexcept;
    void unqueue(uint32_t span) noexcept;
    Operation* next_again() noexcept;

    const uint64_t merge_bytes_;
    WaitingQueues& waiting_;
    const uint32_t number_;
    std::vector<Operation> operations_;
    std::vector<iovec> vectors_;                            // MAX_VECTORS for each operation
    std::vector<uint32_t> free_operations_, ended_, again_; // stacks and a queue of numbers
    std::vector<Span> spans_;
    uint32_t free_spans_[MAX_SPANS];
    uint32_t free_operation_count_, free_span_count_ = MAX_SPANS;
    uint32_t ended_count_ = 0, again_count_ = 0, cancelled_spans_ = 0;
    uint32_t brisk_in_kernel_ = 0;
    uint32_t first_queued_ = NO_SPAN, last_queued_ = NO_SPAN;
    uint32_t waiting_count_ = 0; // of those in again_, see WritePhase
    Shares shares_;
};

} // namespace nixl::core::posix
