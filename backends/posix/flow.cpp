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

// A split read takes three calls, one of them into the kernel's slow path for cold pages.
constexpr uint64_t MIN_DIRECT_MIDDLE_BYTES = 64u << 10;

nixl_status status_of(int error) noexcept {
    // The descriptor is open, so this is a write to one opened for reading, or the reverse.
    if (error == EBADF)
        return NIXL_PERMISSION_DENIED;
    return static_cast<nixl_status>(code_from_errno(error));
}

} // namespace

Flow::Flow(uint32_t depth_ops, uint64_t merge_bytes, WaitingQueues& waiting, uint32_t number)
    : depth_ops_(depth_ops), merge_bytes_(merge_bytes), waiting_(waiting), number_(number),
      operations_(depth_ops), vectors_(size_t{depth_ops} * MAX_VECTORS),
      free_operations_(depth_ops), ended_(depth_ops), again_(depth_ops), spans_(MAX_SPANS),
      free_operation_count_(depth_ops), turns_(size_t{depth_ops} * 2) {
    for (uint32_t i = 0; i < depth_ops; ++i)
        free_operations_[i] = depth_ops - 1 - i;
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
    queue_last(number);
    return batch.element_count;
}

Operation* Flow::next() noexcept {
    if (again_count_ > 0)
        if (Operation* const operation = next_again())
            return operation;
    while (waiting_count_ == 0 && free_operation_count_ > 0) {
        const uint32_t number = first_startable();
        if (number == NO_SPAN)
            return nullptr;
        Span& span = spans_[number];
        Operation& operation = operations_[free_operations_[--free_operation_count_]];
        operation.vectors = &vectors_[size_t{this->number(operation)} * MAX_VECTORS];
        operation.span = number;
        ++span.operations;
        fill(operation, span);
        if (span.cursor.done()) {
            unqueue(number);
        } else if (++span.turn_ops >= TURN_OPS && span.after != NO_SPAN) {
            span.turn_ops = 0;
            unqueue(number);
            queue_last(number);
        }
        if (operation.error != 0) {
            ended_[ended_count_++] = this->number(operation);
            continue;
        }
        if (start(operation))
            return &operation;
        if (operation.error != 0)
            end(operation, operation.error);
        else
            again(operation);
    }
    return nullptr;
}

uint32_t Flow::first_startable() const noexcept {
    uint32_t number = first_queued_;
    // collect() had no room for a cancelled one yet.
    while (number != NO_SPAN && (spans_[number].is_cancelled || waits_for_turn(spans_[number])))
        number = spans_[number].after;
    return number;
}

/// Whether its next element is a write that would hold more of the depth than it may: a file gets
/// half of it, and all files of a device three times as much as they leave to the others.
bool Flow::waits_for_turn(const Span& span) const noexcept {
    const uint32_t of_file = std::max(depth_ops_ / 2, 1u), of_device = 3 * free_operation_count_;
    if (turns_in_all_ < std::min(of_file, of_device))
        return false;
    const Element element = element_at(span.cursor);
    if (!element.is_valid || !element.is_write || !element.storage->writes_in_turn)
        return false;
    const ThreadPool::Group& file = element.storage->file->threads;
    return turns_of(file) >= of_file || turns_of(*file.outer) >= of_device;
}

uint32_t Flow::turns_of(const ThreadPool::Group& group) const noexcept {
    for (uint32_t i = 0; i < turn_group_count_; ++i)
        if (turns_[i].group == &group)
            return turns_[i].operations;
    return 0;
}

void Flow::begin_turn(const ThreadPool::Group& group) noexcept {
    uint32_t i = 0;
    while (i < turn_group_count_ && turns_[i].group != &group)
        ++i;
    if (i == turn_group_count_)
        turns_[turn_group_count_++] = {&group, 0};
    ++turns_[i].operations;
}

void Flow::end_turn(const ThreadPool::Group& group) noexcept {
    uint32_t i = 0;
    while (turns_[i].group != &group)
        ++i;
    if (--turns_[i].operations == 0)
        turns_[i] = turns_[--turn_group_count_];
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

Flow::Element Flow::element_at(const sdk::OpCursor& cursor) noexcept {
    const nixl_region_pair& pair = cursor.pair();
    const uint64_t source = cursor.source_offset(), target = cursor.target_offset();
    Element element = {};
    element.bytes = cursor.bytes();
    element.is_write = pair.target.base == nullptr;
    element.is_valid = element.is_write != (pair.source.base == nullptr);
    const nixl_region& storage = element.is_write ? pair.target : pair.source;
    const nixl_region& memory = element.is_write ? pair.source : pair.target;
    element.storage = static_cast<const Region*>(storage.registration);
    element.memory = static_cast<const Region*>(memory.registration);
    if (!element.is_valid || element.storage == nullptr || !element.storage->is_storage) {
        element.is_valid = false;
        return element;
    }
    element.file_offset = element.storage->file_offset + (element.is_write ? target : source);
    element.address = static_cast<std::byte*>(memory.base) + (element.is_write ? source : target);
    return element;
}

void Flow::fill(Operation& operation, Span& span) noexcept {
    const Element first = element_at(span.cursor);
    operation.storage = first.storage;
    operation.memory = first.memory;
    operation.vectors[0] = {first.address, first.bytes};
    operation.file_offset = first.file_offset;
    operation.element_bytes = first.bytes;
    operation.first_element = span.cursor.element();
    operation.element_count = 1;
    operation.error = first.is_valid ? 0 : EOPNOTSUPP;
    operation.is_write = first.is_write;
    operation.is_scattered = operation.is_direct = operation.is_alone = false;
    operation.is_waiting = operation.holds_phase = false;
    operation.part_bytes = operation.moved_bytes = 0;
    operation.is_aligned =
        first.is_valid &&
        first.storage->may_go_direct(first.file_offset, first.bytes, first.address, first.is_write);
    operation.is_split = first.is_valid && !operation.is_aligned && may_split(first);
    span.cursor.next();
    if (!first.is_valid || operation.is_split)
        return;
    if (!operation.is_aligned && first.storage->direct_fd >= 0)
        first.storage->tell_cached(first.file_offset, first.bytes, first.address);
    while (!span.cursor.done() && join(operation, element_at(span.cursor)))
        span.cursor.next();
}

bool Flow::join(Operation& operation, const Element& element) const noexcept {
    const uint64_t joined_bytes = operation.element_count * operation.element_bytes;
    if (joined_bytes + element.bytes > merge_bytes_ || element.bytes != operation.element_bytes ||
        !element.is_valid || element.storage != operation.storage ||
        element.is_write != operation.is_write ||
        element.file_offset != operation.file_offset + joined_bytes ||
        operation.is_aligned != element.storage->may_go_direct(element.file_offset, element.bytes,
                                                               element.address, element.is_write) ||
        (!operation.is_aligned && may_split(element)))
        return false;
    const auto* const first = static_cast<std::byte*>(operation.vectors[0].iov_base);
    if (!operation.is_scattered && element.address == first + joined_bytes) {
        operation.vectors[0].iov_len += element.bytes;
    } else {
        if (operation.element_count >= MAX_VECTORS)
            return false;
        if (!operation.is_scattered) { // from one piece to one piece per element
            auto* const address = static_cast<std::byte*>(operation.vectors[0].iov_base);
            for (uint32_t i = 0; i < operation.element_count; ++i)
                operation.vectors[i] = {address + i * operation.element_bytes,
                                        operation.element_bytes};
            operation.is_scattered = true;
        }
        operation.vectors[operation.element_count] = {element.address, element.bytes};
    }
    ++operation.element_count;
    if (!operation.is_aligned && element.storage->direct_fd >= 0)
        element.storage->tell_cached(element.file_offset, element.bytes, element.address);
    return true;
}

/// Whether an element that may not go direct as a whole has a middle that is worth it. Writes are
/// left whole: a cached end would keep all direct writes of the file waiting, see WritePhase.
bool Flow::may_split(const Element& element) noexcept {
    const Region& storage = *element.storage;
    if (element.is_write || storage.direct_fd < 0 || element.bytes < MIN_DIRECT_MIDDLE_BYTES)
        return false;
    const uint64_t align = storage.direct_offset_align_bytes;
    const uint64_t head = (0 - element.file_offset) & (align - 1);
    const uint64_t tail = (element.file_offset + element.bytes) & (align - 1);
    return (head | tail) != 0 && element.bytes >= MIN_DIRECT_MIDDLE_BYTES + head + tail &&
           (reinterpret_cast<uintptr_t>(element.address + head) &
            (storage.direct_memory_align_bytes - 1)) == 0;
}

/// The next call of a split element: up to the first aligned place, from there to the last one, or
/// what is behind it.
void Flow::choose_part(Operation& operation) noexcept {
    const Region& storage = *operation.storage;
    const uint64_t align = storage.direct_offset_align_bytes;
    const uint64_t left = operation.element_bytes - operation.moved_bytes;
    const uint64_t head = (0 - operation.file_offset) & (align - 1);
    operation.part_bytes = head != 0 ? std::min(head, left) : left & ~(align - 1);
    operation.is_aligned = false;
    if (head == 0 && operation.part_bytes != 0)
        operation.is_aligned =
            storage.may_go_direct(operation.file_offset, operation.part_bytes,
                                  operation.vectors->iov_base, operation.is_write);
    if (head == 0 && !operation.is_aligned) { // the tail, or a middle that the file's end cuts
        operation.part_bytes = left;
        operation.is_split = false;
    }
}

/// False: it has to wait for direct writes in flight, or has an error.
bool Flow::start(Operation& operation) noexcept {
    if (operation.is_split)
        choose_part(operation);
    if (operation.is_write && !operation.storage->may_write_at(operation.file_offset)) {
        operation.error = EFBIG;
        return false;
    }
    if (!operation.holds_phase) {
        operation.is_direct = operation.is_aligned;
        if (operation.is_write && !enter_phase(operation))
            return false;
    }
    ++in_kernel_;
    operation.takes_turns =
        operation.is_write && !operation.is_direct && operation.storage->writes_in_turn;
    if (operation.takes_turns) {
        ++turns_in_all_;
        begin_turn(operation.storage->file->threads);
        begin_turn(*operation.storage->file->threads.outer);
    }
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
    --in_kernel_;
    if (operation.takes_turns) {
        --turns_in_all_;
        end_turn(operation.storage->file->threads);
        end_turn(*operation.storage->file->threads.outer);
    }
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
    operation.moved_bytes += moved;
    operation.file_offset += moved;
    operation.vectors->iov_base = static_cast<std::byte*>(operation.vectors->iov_base) + moved;
    operation.vectors->iov_len -= moved;
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
    operation.element_count -= count;
    if (operation.element_count == 0) {
        release(operation);
        return;
    }
    operation.first_element += count;
    operation.file_offset += count * operation.element_bytes;
    if (operation.is_scattered) {
        operation.vectors += count;
    } else {
        operation.vectors->iov_base =
            static_cast<std::byte*>(operation.vectors->iov_base) + count * operation.element_bytes;
        operation.vectors->iov_len -= count * operation.element_bytes;
    }
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
