// SPDX-License-Identifier: Apache-2.0
// HOT
#include "flow.h"

#include <algorithm>
#include <cerrno>

#include "base/status.h"

namespace nixl::core::posix {
namespace {

// A span at the front gives way to the next one after so many operations, so that a short transfer
// does not wait for a long one. Large enough to keep sequential transfers sequential.
constexpr uint32_t TURN_OPS = 32;

nixl_status status_of(int error) noexcept {
    // The descriptor is open, so this is a write to one opened for reading, or the reverse.
    if (error == EBADF)
        return NIXL_PERMISSION_DENIED;
    return static_cast<nixl_status>(code_from_errno(error));
}

} // namespace

Flow::Flow(uint32_t depth_ops, uint64_t merge_bytes, WaitingQueues& waiting, uint32_t number)
    : merge_bytes_(merge_bytes), waiting_(waiting), number_(number),
      operations_(Shares::operations_for(depth_ops)), vectors_(operations_.size() * MAX_VECTORS),
      free_operations_(operations_.size()), ended_(operations_.size()), again_(operations_.size()),
      spans_(MAX_SPANS), free_operation_count_(operation_count()), shares_(depth_ops) {
    for (uint32_t i = 0; i < operation_count(); ++i)
        free_operations_[i] = operation_count() - 1 - i;
    for (uint32_t i = 0; i < MAX_SPANS; ++i)
        free_spans_[i] = MAX_SPANS - 1 - i;
}

uint64_t Flow::accept(const nixl_batch& batch) noexcept {
    if (free_span_count_ == 0 || batch.element_count == 0)
        return 0;
    const uint32_t number = free_spans_[--free_span_count_];
    Span& span = spans_[number];
    span = {};
    span.tag = batch.tag;
    span.cursor = sdk::OpCursor(batch);
    span.is_open = true;
    look_at_next(span);
    queue_last(number);
    return batch.element_count;
}

Operation* Flow::next() noexcept {
    if (again_count_ > 0)
        if (Operation* const operation = next_again())
            return operation;
    while (free_operation_count_ > 0) {
        const uint32_t number = first_startable();
        if (number == NO_SPAN)
            return nullptr;
        Operation& operation = take_from(number);
        if (operation.error == 0 && start(operation))
            return &operation;
        if (operation.error != 0)
            end(operation, operation.error);
        else
            again(operation);
    }
    return nullptr;
}

/// A new operation with the span's next elements.
Operation& Flow::take_from(uint32_t number) noexcept {
    Span& span = spans_[number];
    Operation& operation = operations_[free_operations_[--free_operation_count_]];
    operation.vectors = &vectors_[size_t{this->number(operation)} * MAX_VECTORS];
    operation.span = number;
    ++span.operations;
    operation.begin(span.cursor);
    operation.is_counted = operation.error == 0;
    if (operation.is_counted)
        shares_.begin(*operation.storage->file);
    do
        span.cursor.next();
    while (!span.cursor.done() && operation.join(Element::at(span.cursor), merge_bytes_));
    look_at_next(span);
    if (span.cursor.done()) {
        unqueue(number);
    } else if (++span.turn_ops >= TURN_OPS && span.after != NO_SPAN) {
        span.turn_ops = 0;
        unqueue(number);
        queue_last(number);
    }
    return operation;
}

void Flow::look_at_next(Span& span) noexcept {
    span.file = nullptr;
    if (span.cursor.done())
        return;
    const Element element = Element::at(span.cursor);
    span.file = element.is_valid ? element.storage->file : nullptr;
    span.is_write = element.is_write;
    span.takes_turns = element.is_valid && element.is_write && element.storage->writes_in_turn;
}

/// Asked at every poll, with up to MAX_SPANS behind each other: what has to wait makes its
/// neighbours of the same sort wait without a second look.
uint32_t Flow::first_startable() const noexcept {
    if (waiting_count_ == 0 && !shares_.may_be_full(free_operation_count_))
        return first_uncancelled();
    const Shares::Group* full = nullptr; // device
    const File* held = nullptr;          // its writes
    for (uint32_t number = first_queued_; number != NO_SPAN; number = spans_[number].after) {
        const Span& span = spans_[number];
        if (span.is_cancelled)
            continue;
        if (span.file == nullptr)
            return number;
        if (&Shares::device_of(*span.file) == full || (span.is_write && span.file == held))
            continue;
        if (shares_.is_device_full(*span.file, free_operation_count_))
            full = &Shares::device_of(*span.file);
        else if (has_to_wait(span))
            held = span.file;
        else
            return number;
    }
    return NO_SPAN;
}

/// Others are when collect() had no room for them yet.
uint32_t Flow::first_uncancelled() const noexcept {
    uint32_t number = first_queued_;
    while (number != NO_SPAN && spans_[number].is_cancelled)
        number = spans_[number].after;
    return number;
}

/// Whether its next element, a write, would only take room from others: those of its file have
/// their share, or some that came before it wait for direct ones.
bool Flow::has_to_wait(const Span& span) const noexcept {
    return span.is_write && ((span.takes_turns && shares_.are_turns_full(*span.file)) ||
                             (waiting_count_ > 0 && is_waiting_for(*span.file)));
}

bool Flow::is_waiting_for(const File& file) const noexcept {
    return std::any_of(again_.begin(), again_.begin() + again_count_, [&](uint32_t number) {
        return operations_[number].is_waiting && operations_[number].storage->file == &file;
    });
}

Operation* Flow::next_again() noexcept {
    Operation* found = nullptr;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < again_count_; ++i) {
        const uint32_t number = again_[i];
        Operation& operation = operations_[number];
        if (found != nullptr) {
            again_[kept++] = number;
        } else if (spans_[operation.span].is_cancelled) {
            end(operation, ECANCELED);
        } else if (start(operation)) {
            found = &operation;
        } else if (operation.error != 0) {
            end(operation, operation.error);
        } else {
            again_[kept++] = number;
        }
    }
    again_count_ = kept;
    return found;
}

/// False: it has to wait for direct writes in flight, or has an error.
bool Flow::start(Operation& operation) noexcept {
    if (operation.is_split)
        operation.choose_part();
    if (operation.is_write && !operation.storage->may_write_at(operation.file_offset)) {
        operation.error = EFBIG;
        return false;
    }
    if (!operation.holds_phase) {
        operation.is_direct = operation.is_aligned;
        if (operation.is_write && !enter_phase(operation))
            return false;
    }
    operation.takes_turns =
        operation.is_write && !operation.is_direct && operation.storage->writes_in_turn;
    if (operation.takes_turns)
        shares_.begin_turn(*operation.storage->file);
    operation.is_brisk = operation.is_direct && operation.is_small();
    brisk_in_kernel_ += operation.is_brisk ? 1 : 0;
    operation.is_in_kernel = true;
    return true;
}

bool Flow::enter_phase(Operation& operation) noexcept {
    using Way = WritePhase::Way;
    WritePhase& writes = operation.storage->file->writes;
    Way way = writes.start(operation.is_aligned, operation.is_waiting);
    if (way == Way::WAIT) {
        // Once more, now that it would be woken.
        waiting_.expect_wake(number_);
        waiting_count_ += operation.is_waiting ? 0 : 1;
        operation.is_waiting = true;
        way = writes.start(operation.is_aligned, true);
        if (way == Way::WAIT)
            return false;
    }
    waiting_count_ -= operation.is_waiting ? 1 : 0;
    operation.is_waiting = false;
    operation.is_direct = way == Way::DIRECT;
    operation.holds_phase = true;
    return true;
}

void Flow::leave_phase(Operation& operation) noexcept {
    if (operation.holds_phase &&
        operation.storage->file->writes.finish(operation.is_direct ? WritePhase::Way::DIRECT
                                                                   : WritePhase::Way::CACHED))
        waiting_.wake_all();
    if (operation.is_waiting) {
        operation.storage->file->writes.stop_waiting();
        --waiting_count_;
    }
    operation.holds_phase = operation.is_waiting = false;
}

void Flow::leave_kernel(Operation& operation) noexcept {
    if (operation.takes_turns)
        shares_.end_turn(*operation.storage->file);
    brisk_in_kernel_ -= operation.is_brisk ? 1 : 0;
    operation.is_in_kernel = false;
}

void Flow::refuse(Operation& operation, int error) noexcept {
    leave_kernel(operation);
    end(operation, error);
}

void Flow::finish(Operation& operation, int64_t result, Sink& sink) noexcept {
    leave_kernel(operation);
    Span& span = spans_[operation.span];
    if (result < 0) {
        finish_failed(operation, static_cast<int>(-result), sink);
        return;
    }
    const uint64_t asked = operation.call_bytes();
    const auto moved = std::min(static_cast<uint64_t>(result), asked);
    if (operation.part_bytes != 0) {
        finish_part(operation, moved, sink);
        return;
    }
    if (moved == asked || operation.call_elements() == 1) {
        const uint32_t count = operation.call_elements();
        sink.add(span.tag, operation.first_element, count, moved, moved == asked, NIXL_OK, 0);
        finish_elements(operation, count);
        return;
    }
    // A joined call came back short. Whole elements are done; the others are asked for one by one,
    // so that each gets its own answer.
    const auto whole = static_cast<uint32_t>(moved / operation.element_bytes);
    if (whole > 0)
        sink.add(span.tag, operation.first_element, whole, whole * operation.element_bytes, true,
                 NIXL_OK, 0);
    operation.is_alone = true;
    finish_elements(operation, whole);
}

void Flow::finish_part(Operation& operation, uint64_t moved, Sink& sink) noexcept {
    const bool is_short = moved < operation.part_bytes;
    operation.skip_bytes(moved);
    const bool is_whole = operation.moved_bytes == operation.element_bytes;
    if (!is_short && !is_whole) {
        again(operation);
        return;
    }
    sink.add(spans_[operation.span].tag, operation.first_element, 1, operation.moved_bytes,
             is_whole, NIXL_OK, 0);
    finish_elements(operation, 1);
}

void Flow::finish_failed(Operation& operation, int error, Sink& sink) noexcept {
    Span& span = spans_[operation.span];
    // The kernel cancels a request by itself when the thread that submitted it exits.
    const bool is_transient =
        error == EINTR || error == EAGAIN || (error == ECANCELED && !span.is_cancelled);
    if (is_transient && !span.is_cancelled) {
        again(operation);
        return;
    }
    if (error == EINVAL && operation.is_direct) { // stricter about alignment than it told
        leave_phase(operation);
        operation.is_aligned = operation.is_split = false;
        if (operation.part_bytes != 0) // all the rest of it
            operation.part_bytes = operation.element_bytes - operation.moved_bytes;
        again(operation);
        return;
    }
    if (operation.call_elements() > 1 && !span.is_cancelled) { // which one is it?
        operation.is_alone = true;
        again(operation);
        return;
    }
    // One call for several elements does not tell which of them failed; cancelled is true of all.
    if (span.is_cancelled &&
        (is_transient || error == ECANCELED || operation.call_elements() > 1)) {
        sink.add(span.tag, operation.first_element, operation.element_count, operation.moved_bytes,
                 false, NIXL_CANCELLED, ECANCELED);
        finish_elements(operation, operation.element_count);
        return;
    }
    sink.add(span.tag, operation.first_element, 1, operation.moved_bytes, false, status_of(error),
             error);
    finish_elements(operation, 1);
}

/// `count` elements at the front are completed.
void Flow::finish_elements(Operation& operation, uint32_t count) noexcept {
    if (count == operation.element_count) {
        release(operation);
        return;
    }
    operation.skip_elements(count);
    again(operation);
}

void Flow::collect(Sink& sink) noexcept {
    while (ended_count_ > 0 && sink.has_room()) {
        Operation& operation = operations_[ended_[--ended_count_]];
        const nixl_status status =
            operation.error == ECANCELED ? nixl_status{NIXL_CANCELLED} : status_of(operation.error);
        sink.add(spans_[operation.span].tag, operation.first_element, operation.element_count,
                 operation.moved_bytes, false, status, operation.error);
        release(operation);
    }
    for (uint32_t number = first_queued_; cancelled_spans_ > 0 && number != NO_SPAN;) {
        Span& span = spans_[number];
        const uint32_t after = span.after;
        if (span.is_cancelled) {
            if (!sink.has_room())
                return;
            sink.add(span.tag, span.cursor.element(), span.cursor.elements_left(), 0, false,
                     NIXL_CANCELLED, ECANCELED);
            span.cursor = {};
            --cancelled_spans_;
            unqueue(number);
            close_if_done(number);
        }
        number = after;
    }
}

void Flow::cancel(uint64_t tag) noexcept {
    for (uint32_t i = 0; i < MAX_SPANS; ++i) {
        Span& span = spans_[i];
        if (span.is_open && span.tag == tag && !span.is_cancelled) {
            span.is_cancelled = true;
            cancelled_spans_ += span.cursor.done() ? 0 : 1;
        }
    }
    // What waits for another queue has nothing that would bring it back soon.
    uint32_t kept = 0;
    for (uint32_t i = 0; i < again_count_; ++i) {
        Operation& operation = operations_[again_[i]];
        if (spans_[operation.span].is_cancelled)
            end(operation, ECANCELED);
        else
            again_[kept++] = again_[i];
    }
    again_count_ = kept;
}

/// collect() completes it with that error.
void Flow::end(Operation& operation, int error) noexcept {
    leave_phase(operation);
    operation.error = error;
    ended_[ended_count_++] = number(operation);
}

void Flow::again(Operation& operation) noexcept { again_[again_count_++] = number(operation); }

void Flow::release(Operation& operation) noexcept {
    leave_phase(operation);
    if (operation.is_counted)
        shares_.end(*operation.storage->file);
    free_operations_[free_operation_count_++] = number(operation);
    --spans_[operation.span].operations;
    close_if_done(operation.span);
}

void Flow::close_if_done(uint32_t number) noexcept {
    Span& span = spans_[number];
    if (!span.cursor.done() || span.operations > 0)
        return;
    span.is_open = false;
    free_spans_[free_span_count_++] = number;
}

void Flow::queue_last(uint32_t number) noexcept {
    spans_[number].before = last_queued_;
    spans_[number].after = NO_SPAN;
    (last_queued_ == NO_SPAN ? first_queued_ : spans_[last_queued_].after) = number;
    last_queued_ = number;
}

void Flow::unqueue(uint32_t number) noexcept {
    const Span& span = spans_[number];
    (span.before == NO_SPAN ? first_queued_ : spans_[span.before].after) = span.after;
    (span.after == NO_SPAN ? last_queued_ : spans_[span.after].before) = span.before;
}

} // namespace nixl::core::posix
