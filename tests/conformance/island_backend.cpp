// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/island_backend.h"

#include <cerrno>
#include <memory>

#include <unistd.h>

#include <nixl/sdk/completion_ring.hpp>
#include <nixl/sdk/host.hpp>
#include <nixl/sdk/op_cursor.hpp>
#include <nixl/sdk/table.hpp>

namespace nixl::test {
namespace {

using sdk::CompletionRing;
using sdk::OpCursor;

class Island {
  public:
    static constexpr const char* NAME = "testisland";

    struct Registration {
        int fd;
        uint64_t offset;
    };

    class Queue {
      public:
        Queue(Island&, uint32_t, void*) : finished_(RING_ENTRIES) {}
        uint64_t submit(const nixl_batch& batch) noexcept {
            if (finished_.full())
                return 0;
            OpCursor element(batch);
            const auto& file = *static_cast<Registration*>(element.pair().target.registration);
            const ssize_t moved =
                ::pwrite(file.fd, element.source(), element.bytes(),
                         static_cast<off_t>(file.offset + element.target_offset()));
            if (moved != static_cast<ssize_t>(element.bytes()))
                finished_.add_single(
                    sdk::failed(batch.tag, batch.first_element, 1, NIXL_IO_ERROR, errno));
            else
                finished_.add_whole(sdk::whole(batch.tag, batch.first_element, 1, element.bytes()));
            return 1;
        }
        uint32_t poll(nixl_completion* out, uint32_t capacity) noexcept {
            return finished_.take(out, capacity);
        }

      private:
        static constexpr uint32_t RING_ENTRIES = 256;
        CompletionRing finished_;
    };

    static nixl_status probe(const sdk::Host&, nixl_caps* out, nixl_error_text*) {
        static constexpr nixl_kind_pair PAIRS[] = {
            {NIXL_KIND_PINNED, NIXL_KIND_FILE, 0, 10.0, 100.0}};
        out->flags = NIXL_CAP_SELF_DRIVEN | NIXL_CAP_CANCEL_FENCES;
        out->pairs = PAIRS;
        out->pair_count = 1;
        return NIXL_OK;
    }
    explicit Island(const sdk::Host&) {}

    static nixl_status attach(const nixl_region_desc& desc, std::unique_ptr<Registration>* out,
                              nixl_error_text* error) {
        if (desc.kind != NIXL_KIND_PINNED && desc.kind != NIXL_KIND_FILE)
            return sdk::fail(error, NIXL_UNSUPPORTED, 0, "kind %u is out of reach", desc.kind);
        *out = std::make_unique<Registration>(Registration{desc.fd, desc.address});
        return NIXL_OK;
    }
};

} // namespace

nixl_backend_v1 island_backend() {
    nixl_backend_v1 table{};
    table.struct_size = sizeof table;
    (void)sdk::fill_table<Island>(nullptr, &table);
    return table;
}

} // namespace nixl::test
