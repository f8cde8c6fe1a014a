// SPDX-License-Identifier: Apache-2.0
// The control path of a decorated backend, the same for each decorator.
#include "backends/decorators/forward.h"

#include <algorithm>

namespace nixl::core {
namespace {

WrappedInstance& of(void* instance) noexcept { return *static_cast<WrappedInstance*>(instance); }

void forward_regions(nixl_backend_v1* table) noexcept {
    if (table->attach != nullptr)
        table->attach = [](void* instance, const nixl_region_desc* region, void** registration,
                           nixl_error_text* error) {
            return of(instance).inner->attach(of(instance).instance, region, registration, error);
        };
    if (table->detach != nullptr)
        table->detach = [](void* instance, void* registration) {
            of(instance).inner->detach(of(instance).instance, registration);
        };
    if (table->flush != nullptr)
        table->flush = [](void* instance, void* registration, nixl_error_text* error) {
            return of(instance).inner->flush(of(instance).instance, registration, error);
        };
    if (table->prepare != nullptr)
        table->prepare = [](void* instance, const nixl_region* regions, uint32_t region_count,
                            const nixl_block* blocks, uint64_t block_count, int32_t device,
                            void** prepared, nixl_error_text* error) {
            return of(instance).inner->prepare(of(instance).instance, regions, region_count, blocks,
                                               block_count, device, prepared, error);
        };
    if (table->unprepare != nullptr)
        table->unprepare = [](void* instance, void* prepared) {
            of(instance).inner->unprepare(of(instance).instance, prepared);
        };
    if (table->text_of != nullptr)
        table->text_of = [](void* instance, int32_t detail, nixl_error_text* out) {
            of(instance).inner->text_of(of(instance).instance, detail, out);
        };
    if (table->engine_of != nullptr)
        table->engine_of = [](void* instance, const nixl_batch* batch) {
            return of(instance).inner->engine_of(of(instance).instance, batch);
        };
}

void forward_peers(nixl_backend_v1* table) noexcept {
    if (table->address != nullptr)
        table->address = [](void* instance, void* out, uint64_t* bytes, nixl_error_text* error) {
            return of(instance).inner->address(of(instance).instance, out, bytes, error);
        };
    if (table->connect != nullptr)
        table->connect = [](void* instance, nixl_peer_id peer, const void* address, uint64_t bytes,
                            nixl_error_text* error) {
            return of(instance).inner->connect(of(instance).instance, peer, address, bytes, error);
        };
    if (table->disconnect != nullptr)
        table->disconnect = [](void* instance, nixl_peer_id peer) {
            of(instance).inner->disconnect(of(instance).instance, peer);
        };
    if (table->export_region != nullptr)
        table->export_region = [](void* instance, void* registration, void* out, uint64_t* bytes,
                                  nixl_error_text* error) {
            return of(instance).inner->export_region(of(instance).instance, registration, out,
                                                     bytes, error);
        };
    if (table->import_region != nullptr)
        table->import_region = [](void* instance, nixl_peer_id peer, int32_t device,
                                  const nixl_region_desc* region, const void* exported,
                                  uint64_t bytes, void** registration, nixl_error_text* error) {
            return of(instance).inner->import_region(of(instance).instance, peer, device, region,
                                                     exported, bytes, registration, error);
        };
}

} // namespace

void forward_control_path(nixl_backend_v1* table) noexcept {
    forward_regions(table);
    forward_peers(table);
}

bool copy_inner(const nixl_backend_v1* inner, const char* prefix, Wrapped* out) noexcept {
    if (inner == nullptr)
        return false;
    std::memcpy(&out->inner, inner,
                std::min(sizeof out->inner, static_cast<size_t>(inner->struct_size)));
    const nixl_backend_v1& table = out->inner;
    if (table.name == nullptr || table.probe == nullptr || table.open == nullptr ||
        table.close == nullptr || table.queue_open == nullptr || table.queue_close == nullptr ||
        table.submit == nullptr || table.poll == nullptr)
        return false;
    const int length = std::snprintf(out->name, sizeof out->name, "%s:%s", prefix, table.name);
    return length > 0 && static_cast<size_t>(length) < sizeof out->name;
}

} // namespace nixl::core
