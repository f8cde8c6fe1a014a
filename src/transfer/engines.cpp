// SPDX-License-Identifier: Apache-2.0
// Asking backends which of their engines moves a piece of work. Control path.
#include "transfer/transfers.h"

namespace nixl::core {
namespace {

const char* ask(const Route& route, nixl_batch batch, uint64_t elements) noexcept {
    const Backend& backend = *route.legs[0].backend;
    void* const instance = backend.open_instance();
    if (!route.direct() || backend.table().engine_of == nullptr || instance == nullptr)
        return nullptr;
    batch.first_element = batch.first_run = batch.first_in_run = 0;
    batch.element_count = elements;
    return backend.table().engine_of(instance, &batch);
}

} // namespace

/// While it is made, or posted: nobody else touches it, and its regions are in use.
void Transfers::note_engine(Request& request) noexcept {
    if (request.route->legs[0].backend->table().engine_of == nullptr)
        return;
    request.engine.store(ask(*request.route, request.direct.batch, request.view.elements),
                         std::memory_order_relaxed); // static text
}

void Transfers::note_engine_of_lists(Request& request) noexcept {
    if (!request.lists->by_backend() || !add_users(request)) // a buffer was freed: it is refused
        return;
    note_engine(request);
    for (const RegionUse& use : request.uses())
        use.region->remove_user();
}

const char* Transfers::engine_of(const Route& route, const Region& source, const Region& target,
                                 uint64_t bytes) noexcept {
    const uint32_t backend = route.legs[0].backend->number;
    const nixl_region_pair pair{{source.registration(backend), source.base()},
                                {target.registration(backend), target.base()}};
    const nixl_run run{0, 0, bytes, 0, 0, 1, 0, 0};
    nixl_batch batch{};
    batch.struct_size = sizeof batch;
    batch.pairs = &pair;
    batch.pair_count = 1;
    batch.runs = &run;
    batch.run_count = 1;
    return ask(route, batch, 1);
}

} // namespace nixl::core
