// SPDX-License-Identifier: Apache-2.0
// What all decorators share: a table whose every function calls the inner backend's. A decorator is
// one queue class that derives from ForwardQueue and hides what it changes.
#pragma once

#include <atomic>
#include <cstdio>
#include <cstring>
#include <memory>

#include <nixl/backend.h>
#include <nixl/sdk/host.hpp>
#include <nixl/sdk/table.hpp>

#include "backends/decorators/decorator.h"

namespace nixl::core {

/// What a queue is opened with.
struct ForwardTarget {
    const nixl_backend_v1* inner;
    void* queue; ///< the inner backend's
    const sdk::Host* host;
    void* host_queue;
    uint32_t number; ///< of the queue within its instance, from 0
};

/// Passes everything on. Called only for functions that the inner table offers.
class ForwardQueue {
  public:
    /// Override where the decorator changes capabilities.
    static void adjust(const sdk::Host&, nixl_caps*) noexcept {}

    explicit ForwardQueue(const ForwardTarget& target) noexcept : target_(target) {}

    uint64_t submit(const nixl_batch& batch) noexcept {
        return target_.inner->submit(target_.queue, &batch);
    }
    uint32_t poll(nixl_completion* out, uint32_t capacity) noexcept {
        return target_.inner->poll(target_.queue, out, capacity);
    }
    void cancel(uint64_t tag) noexcept { target_.inner->cancel(target_.queue, tag); }
    int arm() noexcept { return target_.inner->arm(target_.queue); }
    int fd() noexcept { return target_.inner->queue_fd(target_.queue); }
    int assist() noexcept { return target_.inner->assist(target_.queue); }
    nixl_status notify(nixl_peer_id peer, const void* message, uint64_t bytes,
                       uint64_t tag) noexcept {
        return target_.inner->notify(target_.queue, peer, message, bytes, tag);
    }

  protected:
    const ForwardTarget target_;
};

/// Behind `self` of a wrapped table.
struct Wrapped {
    nixl_backend_v1 inner{};
    char name[64]{};
};

/// Behind `instance` of a wrapped table.
struct WrappedInstance {
    const nixl_backend_v1* inner;
    void* instance;
    sdk::Host host;
    std::atomic<uint32_t> queues{0};
};

template <class Queue> struct OpenedQueue {
    ForwardTarget target;
    Queue queue;
};

/// The C functions of one decorator.
template <class Queue> struct Forwarding {
    using Opened = OpenedQueue<Queue>;
    static WrappedInstance& of(void* instance) noexcept {
        return *static_cast<WrappedInstance*>(instance);
    }
    static Queue& queue_of(void* queue) noexcept { return static_cast<Opened*>(queue)->queue; }

    static nixl_status probe(void* self, const nixl_host_v1* host, nixl_caps* out,
                             nixl_error_text* error) {
        const nixl_backend_v1& inner = static_cast<Wrapped*>(self)->inner;
        const nixl_status status = inner.probe(inner.self, host, out, error);
        if (status == NIXL_OK)
            Queue::adjust(sdk::Host(host), out);
        return status;
    }

    static nixl_status open(void* self, const nixl_host_v1* host, void** instance,
                            nixl_error_text* error) {
        return sdk::detail::guarded(error, [&]() -> nixl_status {
            const nixl_backend_v1& inner = static_cast<Wrapped*>(self)->inner;
            std::unique_ptr<WrappedInstance> made(
                // allow(naked-new): owned by the pointer it initialises.
                new WrappedInstance{&inner, nullptr, sdk::Host(host)});
            const nixl_status status = inner.open(inner.self, host, &made->instance, error);
            if (status == NIXL_OK)
                *instance = made.release();
            return status;
        });
    }

    static void close(void* instance) {
        const auto closing = sdk::detail::adopt<WrappedInstance>(instance);
        closing->inner->close(closing->instance);
    }

    static nixl_status queue_open(void* instance, uint32_t depth, void* host_queue, void** queue,
                                  nixl_error_text* error) {
        return sdk::detail::guarded(error, [&]() -> nixl_status {
            WrappedInstance& self = of(instance);
            ForwardTarget target{self.inner, nullptr, &self.host, host_queue, self.queues++};
            const nixl_status status =
                self.inner->queue_open(self.instance, depth, host_queue, &target.queue, error);
            if (status != NIXL_OK)
                return status;
            const auto close_inner = [&](void*) { self.inner->queue_close(target.queue); };
            std::unique_ptr<void, decltype(close_inner)> opened(target.queue, close_inner);
            // allow(naked-new): owned at once.
            std::unique_ptr<Opened> made(new Opened{target, Queue(target)});
            (void)opened.release(); // queue_close() of the new one closes it
            *queue = made.release();
            return NIXL_OK;
        });
    }

    static void queue_close(void* queue) {
        const auto closing = sdk::detail::adopt<Opened>(queue);
        closing->target.inner->queue_close(closing->target.queue);
    }

    static uint64_t submit(void* queue, const nixl_batch* batch) {
        return queue_of(queue).submit(*batch);
    }
    static uint32_t poll(void* queue, nixl_completion* out, uint32_t capacity) {
        return queue_of(queue).poll(out, capacity);
    }
};

void forward_control_path(nixl_backend_v1* table) noexcept;

/// Only what the inner table offers.
template <class Queue> void forward_data_path(nixl_backend_v1* table) noexcept {
    using F = Forwarding<Queue>;
    table->move_now = nullptr; // all work passes submit(), where decorators do what they do
    if (table->cancel != nullptr)
        table->cancel = [](void* queue, uint64_t tag) { F::queue_of(queue).cancel(tag); };
    if (table->arm != nullptr)
        table->arm = [](void* queue) { return F::queue_of(queue).arm(); };
    if (table->queue_fd != nullptr)
        table->queue_fd = [](void* queue) { return F::queue_of(queue).fd(); };
    if (table->assist != nullptr)
        table->assist = [](void* queue) { return F::queue_of(queue).assist(); };
    if (table->notify != nullptr)
        table->notify = [](void* queue, nixl_peer_id peer, const void* message, uint64_t bytes,
                           uint64_t tag) {
            return F::queue_of(queue).notify(peer, message, bytes, tag);
        };
}

/// Copies *inner; false when a function that every backend needs is missing.
bool copy_inner(const nixl_backend_v1* inner, const char* prefix, Wrapped* out) noexcept;

template <class Queue> nixl_status wrap(const nixl_backend_v1* inner, nixl_backend_v1* out) {
    return sdk::detail::guarded(nullptr, [&]() -> nixl_status {
        auto made = std::make_unique<Wrapped>();
        if (out == nullptr || !copy_inner(inner, Queue::NAME, made.get()))
            return NIXL_INVALID_ARGUMENT;
        using F = Forwarding<Queue>;
        nixl_backend_v1 table = made->inner;
        table.struct_size = sizeof table;
        table.name = made->name;
        table.probe = F::probe;
        table.open = F::open;
        table.close = F::close;
        table.queue_open = F::queue_open;
        table.queue_close = F::queue_close;
        table.submit = F::submit;
        table.poll = F::poll;
        forward_control_path(&table);
        forward_data_path<Queue>(&table);
        table.self = made.release();
        sdk::detail::copy_versioned(table, out);
        return NIXL_OK;
    });
}

inline void release_wrapped(nixl_backend_v1* out) {
    if (out != nullptr) {
        sdk::detail::adopt<Wrapped>(out->self);
        const size_t room = out->struct_size;
        std::memset(static_cast<void*>(out), 0, room < sizeof *out ? room : sizeof *out);
    }
}

template <class Queue> constexpr Decorator forwarding_decorator() noexcept {
    return {Queue::NAME, wrap<Queue>, release_wrapped};
}

} // namespace nixl::core
