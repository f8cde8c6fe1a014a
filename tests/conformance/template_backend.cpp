// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/template_backend.h"

#include <algorithm>
#include <array>

/// What the plug-in calls nixl_backend_entry; renamed in meson.build.
extern "C" nixl_status nixl_backend_entry_of_template(const nixl_host_v1* host,
                                                      nixl_backend_v1* out);

namespace {

nixl_status probe_cheap(void* self, const nixl_host_v1* host, nixl_caps* out,
                        nixl_error_text* error) {
    static std::array<nixl_kind_pair, 4> cheap;
    nixl_backend_v1 table{};
    table.struct_size = sizeof table;
    nixl_status status = nixl_backend_entry_of_template(host, &table);
    if (status == NIXL_OK)
        status = table.probe(self, host, out, error);
    if (status != NIXL_OK || out->pair_count > cheap.size())
        return status != NIXL_OK ? status : NIXL_INTERNAL;
    std::copy(out->pairs, out->pairs + out->pair_count, cheap.begin());
    for (nixl_kind_pair& pair : cheap) {
        pair.latency_ns = 0.1;
        pair.bytes_per_ns = 1e6;
    }
    out->pairs = cheap.data();
    return NIXL_OK;
}

} // namespace

nixl_status nixl_backend_entry_template(const nixl_host_v1* host, nixl_backend_v1* out) {
    const nixl_status status = nixl_backend_entry_of_template(host, out);
    if (status == NIXL_OK)
        out->probe = probe_cheap;
    return status;
}
