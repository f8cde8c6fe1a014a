// SPDX-License-Identifier: Apache-2.0
// The smallest complete backend: copies host memory to host memory inside submit(). Start here.
//
// It uses the installed headers alone and links against nothing of NIXL. Build it, put the .so into
// a directory, and name that directory in NIXL_PLUGIN_DIR; `nixl-info --plugins` lists it, or says
// why it was refused.
//
// What a backend must never do: complete an element twice, forget one, report bytes that did not
// move, or touch the memory of an element that it has completed. What it need not do: check ranges,
// split long elements, retry, count, or know who is waiting. The core does that.
#include <cstdint>
#include <cstring>
#include <iterator>

#include <nixl/backend.h>
#include <nixl/sdk/completion_ring.hpp>
#include <nixl/sdk/host.hpp>
#include <nixl/sdk/op_cursor.hpp>
#include <nixl/sdk/table.hpp>

namespace {

using nixl::sdk::CompletionRing;
using nixl::sdk::Host;
using nixl::sdk::OpCursor;
using nixl::sdk::whole;

/// One open backend: what all its queues share. Its calls come from any thread and may block.
class TemplateBackend {
  public:
    /// [a-z0-9_]+, unique among the backends of a context. Settings of yours are "<this
    /// name>.<key>".
    static constexpr const char* NAME = "template_backend";

    /// One queue: the data path. One thread at a time; it must not block, lock, log or allocate.
    class Queue {
      public:
        /// `depth` is how many elements the core will keep in flight, 0 when it does not care.
        /// `host_queue` is what Host::wake() wants to hear; a synchronous backend needs no
        /// wake-ups.
        Queue(TemplateBackend& backend, uint32_t /*depth*/, void* /*host_queue*/)
            : most_elements_(backend.most_elements_), finished_(RING_ENTRIES) {}

        /// Takes elements from the front of the batch and returns how many. 0 is a normal answer:
        /// "I am full". The core offers the rest again after the next completion.
        uint64_t submit(const nixl_batch& batch) noexcept {
            if (finished_.full())
                return 0; // checked first: accepted work must have room for its completion
            const uint64_t count =
                batch.element_count < most_elements_ ? batch.element_count : most_elements_;
            uint64_t bytes = 0;
            for (OpCursor element(batch, count); !element.done(); element.next()) {
                // memmove: source and target of one element may overlap.
                std::memmove(element.target(), element.source(), element.bytes());
                bytes += element.bytes();
            }
            // One completion covers the whole range, since all of it went well. What fails is a
            // failed(tag, element, 1, status, errno), given to add_single().
            finished_.add_whole(whole(batch.tag, batch.first_element, count, bytes));
            return count;
        }

        /// Hands over up to `capacity` completions, in any order.
        uint32_t poll(nixl_completion* out, uint32_t capacity) noexcept {
            return finished_.take(out, capacity);
        }

        // A backend whose work goes on after submit() also wants cancel(), arm() and perhaps fd()
        // and assist(): see nixl/sdk/table.hpp. What does not exist is not offered.

      private:
        static constexpr uint32_t RING_ENTRIES = 256;
        uint64_t most_elements_;
        CompletionRing finished_;
    };

    /// Can it work here, and what can it do? Without side effects. If it can't, say why, for
    /// people:
    ///   return nixl::sdk::fail(error, NIXL_UNSUPPORTED, errno, "open %s: %s", path, reason);
    static nixl_status probe(const Host&, nixl_caps* out, nixl_error_text*) {
        // Source, target, flags, nanoseconds of one small element, bytes per nanosecond of large
        // ones. First guesses: the router measures. This backend is modest, so that the built-in
        // one is preferred.
        static constexpr nixl_kind_pair PAIRS[] = {
            {NIXL_KIND_HOST, NIXL_KIND_HOST, 0, 1000.0, 1.0},
        };
        // Everything is finished before submit() returns: nobody has to poll to make progress, and
        // nothing is touched after a cancel.
        out->flags = NIXL_CAP_SELF_DRIVEN | NIXL_CAP_CANCEL_FENCES;
        out->pairs = PAIRS;
        out->pair_count = static_cast<uint32_t>(std::size(PAIRS));
        return NIXL_OK;
    }

    /// Settings are read once, here. Resources that can fail to open belong into
    /// `nixl_status open(nixl_error_text*)`, which is called after this.
    explicit TemplateBackend(const Host& host)
        : most_elements_(host.number("template_backend.most_elements", 65536, 1)) {}

  private:
    uint64_t most_elements_; ///< of one submit(), so that it does not keep its thread for too long
};

} // namespace

/// The one symbol that a plug-in exports.
extern "C" __attribute__((visibility("default"))) nixl_status
nixl_backend_entry(const nixl_host_v1* host, nixl_backend_v1* out) {
    return nixl::sdk::fill_table<TemplateBackend>(host, out);
}
