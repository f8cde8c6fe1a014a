// SPDX-License-Identifier: Apache-2.0
// The words and the counters of the trace.
#include "backends/decorators/trace/trace.h"

#include <cinttypes>

namespace nixl::core {

TraceQueue::TraceQueue(const ForwardTarget& target)
    : ForwardQueue(target), submits_(counter("submits")), elements_(counter("elements")),
      completed_(counter("completed")), failed_(counter("failed")), bytes_(counter("bytes")),
      cancels_(counter("cancels")) {}

uint32_t TraceQueue::counter(const char* what) const {
    char name[96];
    std::snprintf(name, sizeof name, "trace.%s.%s", target_.inner->name, what);
    return target_.host->counter(name);
}

uint64_t TraceQueue::submit(const nixl_batch& batch) noexcept {
    const uint64_t accepted = ForwardQueue::submit(batch);
    target_.host->count(submits_, 1);
    target_.host->count(elements_, accepted);
    target_.host->log(NIXL_LOG_TRACE, __FILE__, __LINE__,
                      "%s queue %" PRIu32 ": submit tag %" PRIu64 " elements %" PRIu64 "+%" PRIu64
                      " %s flags %" PRIu32 ", accepted %" PRIu64,
                      target_.inner->name, target_.number, batch.tag, batch.first_element,
                      batch.element_count, batch.runs != nullptr ? "runs" : "indices", batch.flags,
                      accepted);
    return accepted;
}

uint32_t TraceQueue::poll(nixl_completion* out, uint32_t capacity) noexcept {
    const uint32_t count = ForwardQueue::poll(out, capacity);
    for (uint32_t i = 0; i < count; ++i) {
        const nixl_completion& entry = out[i];
        target_.host->count(entry.status == NIXL_OK ? completed_ : failed_, entry.element_count);
        target_.host->count(bytes_, entry.bytes);
        target_.host->log(NIXL_LOG_TRACE, __FILE__, __LINE__,
                          "%s queue %" PRIu32 ": completed tag %" PRIu64 " elements %" PRIu64
                          "+%" PRIu64 " bytes %" PRIu64 " status %" PRId32 " detail %" PRId32,
                          target_.inner->name, target_.number, entry.tag, entry.first_element,
                          entry.element_count, entry.bytes, entry.status, entry.detail);
    }
    return count;
}

void TraceQueue::cancel(uint64_t tag) noexcept {
    target_.host->count(cancels_, 1);
    target_.host->log(NIXL_LOG_TRACE, __FILE__, __LINE__,
                      "%s queue %" PRIu32 ": cancel tag %" PRIu64, target_.inner->name,
                      target_.number, tag);
    ForwardQueue::cancel(tag);
}

} // namespace nixl::core
