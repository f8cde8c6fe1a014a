// SPDX-License-Identifier: Apache-2.0
// The part of GDRCopy's C interface that this project uses, declared here so that neither building
// nor running needs its header. Names, numbers and layouts are those of libgdrapi 2.0 and later.
//
// The loader (gdrcopy.h) and the look-alike (simcuda/) are both made from NIXL_GDR_CALLS.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nixl::core::gdr {

using Session = struct SessionTag*; // gdr_t: the open device

/// gdr_mh_t: pinned memory.
struct Handle {
    unsigned long number;
};

/// X(member, result, symbol, parameters). An int is 0 or an errno. Sessions must not be used by two
/// threads at a time; both copies may be called from any thread.
// clang-format off
#define NIXL_GDR_CALLS(X)                                                                          \
    X(version, void, gdr_runtime_get_version, (int* major, int* minor))                            \
    X(open, ::nixl::core::gdr::Session, gdr_open, ())                                              \
    X(close, int, gdr_close, (::nixl::core::gdr::Session))                                         \
    X(pin, int, gdr_pin_buffer, (::nixl::core::gdr::Session, unsigned long address, size_t bytes,  \
                                 uint64_t p2p_token, uint32_t va_space,                            \
                                 ::nixl::core::gdr::Handle* out))                                  \
    X(unpin, int, gdr_unpin_buffer, (::nixl::core::gdr::Session, ::nixl::core::gdr::Handle))       \
    X(map, int, gdr_map, (::nixl::core::gdr::Session, ::nixl::core::gdr::Handle, void** out,       \
                          size_t bytes))                                                           \
    X(unmap, int, gdr_unmap, (::nixl::core::gdr::Session, ::nixl::core::gdr::Handle,               \
                              void* mapped, size_t bytes))                                         \
    X(write, int, gdr_copy_to_mapping, (::nixl::core::gdr::Handle, void* target,                   \
                                        const void* source, size_t bytes))                         \
    X(read, int, gdr_copy_from_mapping, (::nixl::core::gdr::Handle, void* target,                  \
                                         const void* source, size_t bytes))
// clang-format on

struct Calls {
#define NIXL_MEMBER(member, result, symbol, parameters) result(*member) parameters;
    NIXL_GDR_CALLS(NIXL_MEMBER)
#undef NIXL_MEMBER
};

} // namespace nixl::core::gdr
