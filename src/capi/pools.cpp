// SPDX-License-Identifier: Apache-2.0
// nixl_pool_*, nixl_allocator_*.
#include "capi/context_table.h"

using namespace nixl::core;

extern "C" {

nixl_status nixl_pool_create(nixl_context context, uint64_t bytes, uint32_t kind, int32_t device,
                             nixl_pool* out) {
    const Call call(context);
    if (!call)
        return last_code();
    if (out == nullptr)
        return fail(Code::INVALID_ARGUMENT, "out is NULL");
    return guarded([&] { return to_status(call->create_pool(bytes, kind, device), out); });
}

nixl_status nixl_pool_allocate(nixl_context context, nixl_pool pool, uint64_t bytes,
                               uint64_t alignment, nixl_buffer* out,
                               nixl_buffer_description* description) {
    const Call call(context);
    if (!call)
        return last_code();
    if (out == nullptr)
        return fail(Code::INVALID_ARGUMENT, "out is NULL");
    return guarded([&] {
        const nixl_status made = to_status(call->allocate_from(pool, bytes, alignment), out);
        if (made == NIXL_OK && description != nullptr)
            fill_struct(description, description_of(*call->regions().find(*out)));
        return made;
    });
}

nixl_status nixl_pool_describe(nixl_context context, nixl_pool pool, nixl_pool_description* out) {
    const Call call(context);
    if (!call)
        return last_code();
    if (out == nullptr)
        return fail(Code::INVALID_ARGUMENT, "out is NULL");
    const auto figures = call->pools().figures(pool);
    if (!figures.ok())
        return fail(figures.error());
    const PoolFigures& now = figures.value();
    nixl_pool_description description{};
    description.kind = now.kind;
    description.device = now.device;
    description.buffers = now.buffers;
    description.bytes = now.bytes;
    description.used_bytes = now.used_bytes;
    description.peak_bytes = now.peak_bytes;
    description.largest_free_bytes = now.largest_free_bytes;
    description.allocations = now.allocations;
    description.refusals = now.refusals;
    fill_struct(out, description);
    return NIXL_OK;
}

nixl_status nixl_pool_free(nixl_context context, nixl_pool pool) {
    const Call call(context);
    return call ? to_status(call->pools().release(pool)) : last_code();
}

nixl_status nixl_allocator_register(nixl_context context, const char* name,
                                    const nixl_allocator* allocator) {
    const Call call(context);
    if (!call)
        return last_code();
    nixl_allocator table{};
    if (name == nullptr || allocator == nullptr || allocator->struct_size < sizeof table)
        return fail(Code::INVALID_ARGUMENT,
                    "name or allocator is NULL, or its struct_size is not set");
    table = *allocator;
    return guarded([&] { return to_status(call->regions().allocators().add(name, table)); });
}

} // extern "C"
