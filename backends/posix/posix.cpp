// SPDX-License-Identifier: Apache-2.0
// The posix backend: host memory to and from files and block devices. This file puts it behind the
// plug-in ABI; instance.h is the backend, flow.h the work of a queue.
#include <memory>
#include <string>

#include <nixl/sdk/error_text.hpp>
#include <nixl/sdk/table.hpp>

#include "instance.h"

namespace nixl::core::posix {
namespace {

nixl_status report(const Error& error, nixl_error_text* out) {
    const std::string hint = error.hint.empty() ? std::string() : " (" + error.hint + ")";
    return sdk::fail(out, static_cast<nixl_status>(error.code), error.detail, "%s%s",
                     error.message.c_str(), hint.c_str());
}

constexpr nixl_kind_pair pair(uint16_t source, uint16_t target) {
    // First guesses, for a local NVMe drive; the router measures.
    return {source, target, 0, 80'000.0, 2.0};
}
constexpr nixl_kind_pair PAIRS[] = {
    pair(NIXL_KIND_HOST, NIXL_KIND_FILE),    pair(NIXL_KIND_FILE, NIXL_KIND_HOST),
    pair(NIXL_KIND_PINNED, NIXL_KIND_FILE),  pair(NIXL_KIND_FILE, NIXL_KIND_PINNED),
    pair(NIXL_KIND_HOST, NIXL_KIND_BLOCK),   pair(NIXL_KIND_BLOCK, NIXL_KIND_HOST),
    pair(NIXL_KIND_PINNED, NIXL_KIND_BLOCK), pair(NIXL_KIND_BLOCK, NIXL_KIND_PINNED),
};

class Posix {
  public:
    static constexpr const char* NAME = "posix";

    using Registration = Region; // what batches bring back

    class Queue {
      public:
        Queue(Posix& owner, uint32_t depth_ops, void* host_queue)
            : instance_(*owner.instance_), depth_ops_(depth_ops), host_queue_(host_queue) {}
        Queue(const Queue&) = delete;
        Queue& operator=(const Queue&) = delete;
        ~Queue() {
            if (queue_ != nullptr)
                instance_.close_queue(queue_);
        }
        nixl_status open(nixl_error_text* error) {
            const auto opened = instance_.open_queue(depth_ops_, host_queue_);
            if (!opened)
                return report(opened.error(), error);
            queue_ = opened.value();
            return NIXL_OK;
        }
        uint64_t submit(const nixl_batch& batch) noexcept { return queue_->submit(batch); }
        uint32_t poll(nixl_completion* out, uint32_t capacity) noexcept {
            return queue_->poll(out, capacity);
        }
        void cancel(uint64_t tag) noexcept { queue_->cancel(tag); }
        bool arm() noexcept { return queue_->arm(); }
        int fd() noexcept { return queue_->fd(); }
        int assist() noexcept { return queue_->assist(); }

      private:
        Instance& instance_;
        const uint32_t depth_ops_;
        void* const host_queue_;
        posix::Queue* queue_ = nullptr;
    };

    static nixl_status probe(const sdk::Host& host, nixl_caps* out, nixl_error_text* error) {
        // Also where it cannot work: the reason is then told with every path that it would serve.
        out->pairs = PAIRS;
        out->pair_count = sizeof PAIRS / sizeof PAIRS[0];
        const auto options = Options::read(host);
        if (!options)
            return report(options.error(), error);
        const auto decision = decide_engine(options.value());
        if (!decision)
            return report(decision.error(), error);
        out->flags = NIXL_CAP_CANCEL_FENCES | NIXL_CAP_ERRNO;
        out->align_bytes = 4096;
        out->max_element_bytes = MAX_ELEMENT_BYTES;
        out->detail = decision.value().engine == Engine::IO_URING ? "io_uring" : "threads";
        return sdk::fail(error, NIXL_OK, 0, "%s", decision.value().reason.c_str());
    }

    explicit Posix(const sdk::Host& host) : host_(host) {}

    nixl_status open(nixl_error_text* error) {
        const auto options = Options::read(host_);
        if (!options)
            return report(options.error(), error);
        const auto decision = decide_engine(options.value());
        if (!decision)
            return report(decision.error(), error);
        instance_ = std::make_unique<Instance>(host_, options.value(), decision.value().engine);
        return sdk::fail(error, NIXL_OK, 0, "%s", decision.value().reason.c_str());
    }

    nixl_status attach(const nixl_region_desc& desc, std::unique_ptr<Registration>* out,
                       nixl_error_text* error) {
        auto made = std::make_unique<Registration>();
        if (const auto attached = instance_->attach(desc, *made); !attached)
            return report(attached.error(), error);
        *out = std::move(made);
        return NIXL_OK;
    }

    static nixl_status flush(Registration& registration, nixl_error_text* error) {
        const auto flushed = registration.flush();
        return flushed ? nixl_status{NIXL_OK} : report(flushed.error(), error);
    }

  private:
    const sdk::Host host_;
    std::unique_ptr<Instance> instance_;
};

} // namespace
} // namespace nixl::core::posix

extern "C" nixl_status nixl_backend_entry_posix(const nixl_host_v1* host, nixl_backend_v1* out) {
    return nixl::sdk::fill_table<nixl::core::posix::Posix>(host, out);
}
