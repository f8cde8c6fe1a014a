// SPDX-License-Identifier: Apache-2.0
// A look-alike of GDRCopy's library over the simulated memory, for tests. Stricter than the
// original: copies are checked against their mappings.
#include <cerrno>
#include <cstring>

#include "call.h"

namespace nixl::simcuda {
namespace {

using core::gdr::Handle;
using core::gdr::Session;

std::atomic<long> copies_made{0};
int the_device; // of which sessions are the address

bool is_open(Session session) { return session == reinterpret_cast<Session>(&the_device); }

/// `body()` with the driver's mutex; EINVAL in a session that was not opened.
template <typename Body> int in_session(Session session, Body body) {
    if (!is_open(session) || initialised() != CuResult::SUCCESS)
        return EINVAL;
    const std::lock_guard lock(driver().mutex);
    return body();
}

/// Of the GPU on whose heap the address is.
Heap* heap_of(Address address) {
    for (const auto& gpu : driver().gpus)
        if (gpu->heap && gpu->heap->holds(address))
            return &*gpu->heap;
    return nullptr;
}

/// The mapping that holds all the bytes, if it was made with the flag for it.
const Range* mapping_of(Address address, size_t bytes) {
    const Range* const range = driver().memory.at(address);
    const bool fits = range != nullptr && range->sort == Sort::MAPPED &&
                      bytes <= range->bytes - static_cast<size_t>(address - range->start);
    return fits && range->physical->is_for_rdma ? range : nullptr;
}

/// Puts the memory of a pin in place of what is mapped at `place`.
bool show_at(std::byte* place, const Pin& pin) {
    if (const Heap* const heap = heap_of(pin.start))
        return heap->show_at(place, pin.start, pin.bytes);
    const Range* const range = mapping_of(pin.start, pin.bytes);
    return range != nullptr && range->physical->file.show_at(
                                   place, pin.bytes, static_cast<size_t>(pin.start - range->start));
}

bool is_pageful(unsigned long value) { return value != 0 && value % Pin::PAGE_BYTES == 0; }

/// Whether the bytes lie in the mapping of that pin, and counts the copy.
bool admit_copy(Handle handle, const void* mapped, size_t bytes) {
    const std::lock_guard lock(driver().mutex);
    const auto* const first = static_cast<const std::byte*>(mapped);
    const Pin* const pin = driver().pins.mapped_at(first);
    if (pin == nullptr || pin != driver().pins.find(handle.number) ||
        bytes > pin->bytes - static_cast<size_t>(first - pin->view.address()))
        return false;
    copies_made.fetch_add(1, std::memory_order_relaxed); // a count: nothing is ordered by it
    return true;
}

} // namespace

extern "C" {

void gdr_runtime_get_version(int* major, int* minor) {
    *major = 2;
    *minor = 0;
}

Session gdr_open() { return reinterpret_cast<Session>(&the_device); }

int gdr_close(Session session) { return is_open(session) ? 0 : EINVAL; }

int gdr_pin_buffer(Session session, unsigned long address, size_t bytes, uint64_t p2p_token,
                   uint32_t va_space, Handle* out) {
    return in_session(session, [&] {
        if (out == nullptr || !is_pageful(address) || !is_pageful(bytes) || p2p_token != 0 ||
            va_space != 0 || !driver().memory.overlaps(address, bytes) ||
            (heap_of(address) == nullptr && mapping_of(address, bytes) == nullptr))
            return EINVAL;
        if (driver().faults.on_pin() != CuResult::SUCCESS)
            return ENOMEM;
        out->number = driver().pins.add(address, bytes);
        return 0;
    });
}

int gdr_unpin_buffer(Session session, Handle handle) {
    return in_session(session, [&] {
        if (driver().pins.find(handle.number) == nullptr)
            return EINVAL;
        driver().pins.remove(handle.number);
        return 0;
    });
}

int gdr_map(Session session, Handle handle, void** out, size_t bytes) {
    return in_session(session, [&] {
        Pin* const pin = driver().pins.find(handle.number);
        if (pin == nullptr || pin->is_revoked || pin->view || bytes != pin->bytes)
            return EINVAL;
        Pages view = Pages::reserved(bytes, Pin::PAGE_BYTES);
        if (!view || !show_at(view.address(), *pin))
            return ENOMEM;
        *out = view.address();
        pin->view = std::move(view);
        return 0;
    });
}

int gdr_unmap(Session session, Handle handle, void* mapped, size_t bytes) {
    return in_session(session, [&] {
        Pin* const pin = driver().pins.find(handle.number);
        if (pin == nullptr || !pin->view || pin->view.address() != mapped || bytes != pin->bytes)
            return EINVAL;
        pin->view = Pages();
        return 0;
    });
}

int gdr_copy_to_mapping(Handle handle, void* target, const void* source, size_t bytes) {
    if (!admit_copy(handle, target, bytes))
        return EINVAL;
    std::memcpy(target, source, bytes); // without the mutex: it may be a fault
    return 0;
}

int gdr_copy_from_mapping(Handle handle, void* target, const void* source, size_t bytes) {
    if (!admit_copy(handle, source, bytes))
        return EINVAL;
    std::memcpy(target, source, bytes);
    return 0;
}

long nixl_simcuda_gdr_copies(void) { return copies_made.load(std::memory_order_relaxed); }
}

} // namespace nixl::simcuda
