// SPDX-License-Identifier: Apache-2.0
// nixl_buffer_*, nixl_list_*.
#include "capi/context_table.h"

using namespace nixl::core;

extern "C" {

nixl_status nixl_buffer_wrap(nixl_context context, void* address, uint64_t bytes, uint32_t kind,
                             int32_t device, uint32_t flags, nixl_buffer* out) {
    const Call call(context);
    if (!call)
        return last_code();
    if (out == nullptr)
        return fail(Code::INVALID_ARGUMENT, "out is NULL");
    return guarded([&] { return to_status(call->wrap(address, bytes, kind, device, flags), out); });
}

nixl_status nixl_buffer_allocate(nixl_context context, uint64_t bytes, uint32_t kind,
                                 int32_t device, uint32_t flags, nixl_buffer* out) {
    const Call call(context);
    if (!call)
        return last_code();
    if (out == nullptr)
        return fail(Code::INVALID_ARGUMENT, "out is NULL");
    return guarded([&] { return to_status(call->allocate(bytes, kind, device, flags), out); });
}

nixl_status nixl_buffer_open(nixl_context context, const char* path, uint32_t kind, uint64_t offset,
                             uint64_t bytes, uint32_t flags, nixl_buffer* out) {
    const Call call(context);
    if (!call)
        return last_code();
    if (out == nullptr || path == nullptr)
        return fail(Code::INVALID_ARGUMENT, out == nullptr ? "out is NULL" : "path is NULL");
    return guarded([&] {
        return to_status(call->open_storage({path, kind, offset, bytes, flags}), out);
    });
}

nixl_status nixl_buffer_flush(nixl_context context, nixl_buffer buffer) {
    const Call call(context);
    return call ? to_status(call->flush(buffer)) : last_code();
}

nixl_status nixl_buffer_free(nixl_context context, nixl_buffer buffer, int64_t timeout_ns) {
    const Call call(context);
    return call ? to_status(call->free(buffer, timeout_ns)) : last_code();
}

nixl_status nixl_buffer_describe(nixl_context context, nixl_buffer buffer,
                                 nixl_buffer_description* out) {
    const Call call(context);
    if (!call)
        return last_code();
    if (out == nullptr)
        return fail(Code::INVALID_ARGUMENT, "out is NULL");
    const Region* region = call->regions().find(buffer);
    if (region == nullptr)
        return fail(Code::STALE, "the buffer was freed");
    fill_struct(out, description_of(*region));
    return NIXL_OK;
}

nixl_status nixl_list_create(nixl_context context, const nixl_buffer* buffers,
                             uint32_t buffer_count, const nixl_block* blocks, uint64_t block_count,
                             nixl_list* out) {
    const Call call(context);
    if (!call)
        return last_code();
    if (out == nullptr || buffers == nullptr || blocks == nullptr || buffer_count == 0 ||
        block_count == 0)
        return fail(Code::INVALID_ARGUMENT, "a list needs at least one buffer and one block",
                    "out, buffers and blocks must not be NULL");
    return guarded([&] {
        std::vector<const Region*> regions;
        for (uint32_t i = 0; i < buffer_count; ++i) {
            regions.push_back(call->regions().find(buffers[i]));
            if (regions.back() == nullptr)
                return fail(Error(Code::STALE, "buffer " + std::to_string(i) + " was freed"));
        }
        return to_status(call->transfers().lists().create({buffers, buffer_count}, regions,
                                                          {blocks, block_count}),
                         out);
    });
}

nixl_status nixl_list_release(nixl_context context, nixl_list list) {
    const Call call(context);
    return call ? to_status(call->transfers().lists().release(list)) : last_code();
}

} // extern "C"
