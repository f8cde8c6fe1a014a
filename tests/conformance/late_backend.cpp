// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/late_backend.h"

#include <atomic>

#include <nixl/sdk/host.hpp>
#include <nixl/sdk/table.hpp>

namespace nixl::test {
namespace {

nixl_host_v1 last_host{};
void* last_host_queue = nullptr;
std::atomic<unsigned> instances{0};

class Late {
  public:
    static constexpr const char* NAME = "testlate";

    class Queue {
      public:
        Queue(Late&, uint32_t, void* host_queue) { last_host_queue = host_queue; }
        uint64_t submit(const nixl_batch& batch) noexcept { return batch.element_count; }
        uint32_t poll(nixl_completion*, uint32_t) noexcept { return 0; }
        void cancel(uint64_t) noexcept {}
        bool arm() noexcept { return true; }
    };

    static nixl_status probe(const sdk::Host&, nixl_caps* out, nixl_error_text*) {
        static constexpr nixl_kind_pair PAIRS[] = {{NIXL_KIND_HOST, NIXL_KIND_HOST, 0, 0.1, 1e9}};
        out->flags = NIXL_CAP_SELF_DRIVEN;
        out->pairs = PAIRS;
        out->pair_count = 1;
        return NIXL_OK;
    }
    explicit Late(const sdk::Host& host) {
        last_host = host.services();
        ++instances;
    }
    ~Late() { --instances; }
    Late(const Late&) = delete;
    Late& operator=(const Late&) = delete;
};

} // namespace

nixl_backend_v1 late_backend() {
    nixl_backend_v1 table{};
    table.struct_size = sizeof table;
    (void)sdk::fill_table<Late>(nullptr, &table);
    return table;
}

void LateBackend::use_host() {
    last_host.wake(last_host.host, last_host_queue);
    last_host.log(last_host.host, NIXL_LOG_DEBUG, __FILE__, __LINE__, "still here");
    (void)last_host.now_ns(last_host.host);
    last_host.count(last_host.host, last_host.counter(last_host.host, "late"), 1);
}

unsigned LateBackend::open_instances() { return instances; }

} // namespace nixl::test
