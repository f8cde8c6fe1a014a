// SPDX-License-Identifier: Apache-2.0
// Preloaded into nixlbench: flips one byte of the last wrapped memory at the post whose number
// CORRUPT_POST gives, as a path that damages data would.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>

#include <nixl/nixl_c.h>

static unsigned char* last_memory;
static uint64_t last_bytes;

nixl_status nixl_buffer_wrap(nixl_context context, void* address, uint64_t bytes, uint32_t kind,
                             int32_t device, uint32_t flags, nixl_buffer* out) {
    typedef nixl_status (*wrap_fn)(nixl_context, void*, uint64_t, uint32_t, int32_t, uint32_t,
                                   nixl_buffer*);
    const wrap_fn next = (wrap_fn)dlsym(RTLD_NEXT, "nixl_buffer_wrap");
    last_memory = address;
    last_bytes = bytes;
    return next(context, address, bytes, kind, device, flags, out);
}

nixl_status nixl_request_post(nixl_context context, nixl_request request,
                              const nixl_post_options* options) {
    typedef nixl_status (*post_fn)(nixl_context, nixl_request, const nixl_post_options*);
    static long number;
    const post_fn next = (post_fn)dlsym(RTLD_NEXT, "nixl_request_post");
    const nixl_status status = next(context, request, options);
    if (++number == atol(getenv("CORRUPT_POST")))
        last_memory[last_bytes - 1] ^= 1;
    return status;
}
