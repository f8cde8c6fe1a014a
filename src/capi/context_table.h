// SPDX-License-Identifier: Apache-2.0
// HOT
// The open contexts by handle, the default one among them, and the errors of each thread's calls.
#pragma once

#include <atomic>
#include <memory>
// allow(hot): the name of what control calls may throw.
#include <new>
#include <stdexcept>

#include <nixl/nixl_c.h>

#include "capi/presence.h"
#include "engine/context.h"

namespace nixl::core {

struct ContextSlot {
    std::atomic<uint32_t> generation{0}; ///< 0: closed or never opened
    std::unique_ptr<Context> context;
    uint32_t last_generation = 0;
};

/// The one table of the process. Never destroyed: handles are used by destructors that run after
/// main().
extern ContextSlot* const context_slots;
[[nodiscard]] inline ContextSlot& context_slot(uint32_t index) noexcept {
    return context_slots[index];
}

/// The beginning of every call: finds the context and keeps it open until the call returns.
class Call {
  public:
    explicit Call(nixl_context handle) noexcept
        : inside_(handle.index % MAX_CONTEXTS), context_(find(handle)) {}

    /// nullptr when the handle is stale or the process was forked; last_error() is set then.
    [[nodiscard]] Context* operator->() const noexcept { return context_; }
    [[nodiscard]] explicit operator bool() const noexcept { return context_ != nullptr; }
    [[nodiscard]] Context& operator*() const noexcept { return *context_; }

  private:
    static Context* find(nixl_context handle) noexcept {
        if (handle.index < MAX_CONTEXTS && handle.generation != 0) {
            ContextSlot& slot = context_slot(handle.index);
            // seq_cst: after the store of InsideCall, before the closing side's look at it
            if (slot.generation.load() == handle.generation && !slot.context->inherited())
                return slot.context.get();
        }
        return explain_missing(handle);
    }
    static Context* explain_missing(nixl_context handle) noexcept; ///< sets last_error(); nullptr

    InsideCall inside_;
    Context* context_;
};

/// Keeps the error for nixl_last_error() and returns its code.
nixl_status fail(const Error& error) noexcept;
nixl_status fail(Code code, const char* message, const char* hint = "") noexcept;
[[nodiscard]] nixl_status last_code() noexcept;

[[nodiscard]] inline nixl_status to_status(const Result<void>& result) noexcept {
    return result.ok() ? NIXL_OK : fail(result.error());
}
template <typename T, typename Out>
[[nodiscard]] nixl_status to_status(Result<T>&& result, Out* out) noexcept {
    if (!result.ok())
        return fail(result.error());
    *out = std::move(result).value();
    return NIXL_OK;
}

/// Fills a struct that the caller may know an older, shorter form of.
template <typename Struct> void fill_struct(Struct* out, Struct value) noexcept {
    const uint32_t known = out->struct_size;
    value.struct_size = known;
    __builtin_memcpy(out, &value, known < sizeof value ? known : sizeof value);
}

[[nodiscard]] inline nixl_buffer_description description_of(const Region& region) noexcept {
    nixl_buffer_description description{};
    description.kind = region.kind_class.kind;
    description.address = region.memory_address;
    description.bytes = region.bytes;
    description.device = region.kind_class.device;
    description.flags = region.flags;
    description.users = region.users();
    description.peer = region.peer;
    return description;
}

/// Runs a control call. What the standard library throws for want of memory becomes NO_MEMORY: no
/// exception crosses the ABI.
template <typename Work> nixl_status guarded(Work work) noexcept {
    try {
        return work();
    } catch (const std::bad_alloc&) {
        return fail(Code::NO_MEMORY, "not enough memory for what the call has to keep");
    } catch (const std::length_error&) {
        return fail(Code::NO_MEMORY, "the call asks for more than can be addressed");
    }
}

nixl_status copy_text(std::string_view text, char* out, size_t capacity, size_t* needed) noexcept;
nixl_status copy_bytes(std::span<const uint8_t> bytes, void* out, uint64_t capacity,
                       uint64_t* needed) noexcept;
void fill_error(const Error& error, nixl_error* out) noexcept;

} // namespace nixl::core
