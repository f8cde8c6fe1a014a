// SPDX-License-Identifier: Apache-2.0
#include "capi/context_table.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "base/log.h"

namespace nixl::core {

namespace {

/// Of one thread. The text lies on the heap: a library that is loaded late shares some 1,600 bytes
/// of threads' own memory with all others of the program.
///
/// Trivial, since calls may fail in destructors that run later than any of this thread's own: of
/// its other thread-locals, and of static objects after main().
struct LastError {
    nixl_status code;
    nixl_error* whole; ///< nullptr: none yet, or there was no memory for it

    void keep(const Error& error) noexcept {
        code = static_cast<nixl_status>(error.code);
        if (whole == nullptr)
            allocate();
        if (whole == nullptr)
            return;
        whole->struct_size = sizeof(nixl_error);
        fill_error(error, whole);
    }
    void allocate() noexcept;
    [[nodiscard]] nixl_error told() const noexcept {
        nixl_error error{};
        error.code = code;
        return whole != nullptr ? *whole : error;
    }
};

thread_local constinit LastError my_error{};

LastError& last_error() noexcept { return my_error; }

void LastError::allocate() noexcept {
    // Frees it at the end of the thread. What a later destructor keeps stays.
    struct AtEnd {
        ~AtEnd() {
            // allow(naked-new): see LastError: no owner may be destroyed before its last use.
            delete std::exchange(my_error.whole, nullptr);
        }
    };
    thread_local AtEnd at_end;
    (void)at_end;
    whole = new (std::nothrow) nixl_error{}; // allow(naked-new): as above
}

void copy_cut(char* out, size_t capacity, std::string_view text) noexcept {
    const size_t length = std::min(text.size(), capacity - 1);
    std::memcpy(out, text.data(), length);
    out[length] = '\0';
}

} // namespace

// allow(naked-new): it is never destroyed.
ContextSlot* const context_slots = new ContextSlot[MAX_CONTEXTS];

Context* Call::explain_missing(nixl_context handle) noexcept {
    if (handle.index >= MAX_CONTEXTS || handle.generation == 0)
        fail(Code::INVALID_ARGUMENT, "the context handle is none",
             "use nixl_context_open() or nixl_default_context()");
    else if (context_slots[handle.index].generation.load() == handle.generation)
        fail(Code::UNSUPPORTED, "this process was forked after the context was opened",
             "open a context in the child, or fork before the first call");
    else
        fail(Code::STALE, "the context was closed");
    return nullptr;
}

void fill_error(const Error& error, nixl_error* out) noexcept {
    nixl_error filled{};
    filled.code = static_cast<nixl_status>(error.code);
    filled.scope = static_cast<uint32_t>(error.scope);
    filled.retry = static_cast<uint32_t>(error.retry);
    filled.detail = error.detail;
    copy_cut(filled.message, sizeof filled.message, error.message);
    copy_cut(filled.hint, sizeof filled.hint, error.hint);
    fill_struct(out, filled);
}

nixl_status fail(const Error& error) noexcept {
    last_error().keep(error);
    return static_cast<nixl_status>(error.code);
}

nixl_status fail(Code code, const char* message, const char* hint) noexcept {
    return fail(Error(code, message, hint));
}

nixl_status last_code() noexcept { return last_error().code; }

nixl_status copy_text(std::string_view text, char* out, size_t capacity, size_t* needed) noexcept {
    if (needed != nullptr)
        *needed = text.size() + 1;
    if (out != nullptr && capacity > 0)
        copy_cut(out, capacity, text);
    return NIXL_OK;
}

nixl_status copy_bytes(std::span<const uint8_t> bytes, void* out, uint64_t capacity,
                       uint64_t* needed) noexcept {
    if (needed != nullptr)
        *needed = bytes.size();
    if (out == nullptr || capacity == 0)
        return NIXL_OK;
    if (bytes.size() > capacity)
        return fail(Error(Code::OUT_OF_RANGE, std::to_string(bytes.size()) +
                                                  " bytes are needed, there is room for " +
                                                  std::to_string(capacity)));
    std::memcpy(out, bytes.data(), bytes.size());
    return NIXL_OK;
}

} // namespace nixl::core

using namespace nixl::core;

extern "C" {

const char* nixl_version(void) { return NIXL_VERSION_TEXT; }

const char* nixl_status_name(nixl_status code) { return code_name(static_cast<Code>(code)); }

void nixl_last_error(nixl_error* out) {
    if (out != nullptr)
        fill_struct(out, last_error().told());
}

void nixl_log_set(nixl_log_fn fn, void* user, int level) {
    log_set_sink(fn, user);
    if (level >= NIXL_LOG_ERROR && level <= NIXL_LOG_TRACE)
        log_set_level(static_cast<Level>(level));
}

} // extern "C"
