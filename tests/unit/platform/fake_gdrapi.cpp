// SPDX-License-Identifier: Apache-2.0
// Stands in for GDRCopy's library. FAKE_GDRAPI=old: version 1.3; closed: its device does not open.
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "platform/gdr_calls.h"

namespace {

using nixl::core::gdr::Handle;
using nixl::core::gdr::Session;

bool is(const char* wanted) {
    const char* const set = std::getenv("FAKE_GDRAPI");
    return set != nullptr && std::strcmp(set, wanted) == 0;
}

int something;

} // namespace

extern "C" {
void gdr_runtime_get_version(int* major, int* minor) {
    *major = is("old") ? 1 : 2;
    *minor = 3;
}
Session gdr_open() {
    errno = is("closed") ? EINVAL : 0;
    return is("closed") ? nullptr : reinterpret_cast<Session>(&something);
}
int gdr_close(Session) { return 0; }
int gdr_pin_buffer(Session, unsigned long address, size_t bytes, uint64_t, uint32_t, Handle* out) {
    out->number = address;
    return address % 65536 != 0 || bytes % 65536 != 0 ? EINVAL : 0;
}
int gdr_unpin_buffer(Session, Handle) { return 0; }
int gdr_map(Session, Handle handle, void** out, size_t) {
    *out = &something;
    return handle.number == 65536 ? ENOMEM : 0; // the second page cannot be mapped
}
int gdr_unmap(Session, Handle, void*, size_t) { return 0; }
int gdr_copy_to_mapping(Handle, void*, const void*, size_t) { return 0; }
int gdr_copy_from_mapping(Handle, void*, const void*, size_t) { return EINVAL; }
}
