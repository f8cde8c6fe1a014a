// SPDX-License-Identifier: Apache-2.0
// Turns two small C++ classes, an instance and its queue, into a filled nixl_backend_v1. C++17.
//
//   class Copier {                                     // one open backend
//     public:
//       static constexpr const char* NAME = "copier";
//       class Queue {                                  // one driver at a time
//         public:
//           Queue(Copier&, uint32_t depth, void* host_queue);
//           uint64_t submit(const nixl_batch&) noexcept;
//           uint32_t poll(nixl_completion*, uint32_t capacity) noexcept;
//           // offered when they exist, all noexcept: void cancel(uint64_t tag); bool arm();
//           // int fd(); bool assist(), or int assist() where signals interrupt it;
//           // nixl_status notify(nixl_peer_id, const void*, uint64_t bytes, uint64_t tag);
//           // bool move_now(const nixl_batch&): false leaves it to submit()
//       };
//       static nixl_status probe(const Host&, nixl_caps* out, nixl_error_text*);
//       explicit Copier(const Host&);
//       // offered when they exist:
//       nixl_status open(nixl_error_text*);            // called once, after the constructor
//       using Registration = ...;                      // with attach(), perhaps flush()
//       nixl_status attach(const nixl_region_desc&, std::unique_ptr<Registration>*,
//       nixl_error_text*); nixl_status flush(Registration&, nixl_error_text*); using Prepared =
//       ...;                          // with prepare() nixl_status prepare(const nixl_region*,
//       uint32_t, const nixl_block*, uint64_t,
//                           int32_t accessing_device, std::unique_ptr<Prepared>*,
//                           nixl_error_text*);
//       const char* engine_of(const nixl_batch&) noexcept;
//       void text_of(int32_t detail, nixl_error_text*);
//   };
//   extern "C" nixl_status nixl_backend_entry(const nixl_host_v1* host, nixl_backend_v1* out) {
//       return nixl::sdk::fill_table<Copier>(host, out);
//   }
//
// Backends with peers fill those five pointers themselves, after fill_table().
// Control calls may throw: bad_alloc becomes NO_MEMORY, anything else INTERNAL. Nothing leaves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <nixl/backend.h>
#include <nixl/sdk/error_text.hpp>
#include <nixl/sdk/host.hpp>

namespace nixl::sdk {

namespace detail {

#define NIXL_SDK_DETECT(trait, expression)                                                         \
    template <class T, class = void> struct trait : std::false_type {};                            \
    template <class T> struct trait<T, std::void_t<decltype(expression)>> : std::true_type {}
NIXL_SDK_DETECT(has_open, &T::open);
NIXL_SDK_DETECT(has_attach, &T::attach);
NIXL_SDK_DETECT(has_flush, &T::flush);
NIXL_SDK_DETECT(has_prepare, &T::prepare);
NIXL_SDK_DETECT(has_engine_of, &T::engine_of);
NIXL_SDK_DETECT(has_text_of, &T::text_of);
NIXL_SDK_DETECT(has_cancel, &T::cancel);
NIXL_SDK_DETECT(has_arm, &T::arm);
NIXL_SDK_DETECT(has_fd, &T::fd);
NIXL_SDK_DETECT(has_assist, &T::assist);
NIXL_SDK_DETECT(has_notify, &T::notify);
NIXL_SDK_DETECT(has_move_now, &T::move_now);
#undef NIXL_SDK_DETECT

/// Runs a control call; no exception leaves it.
template <class Call> nixl_status guarded(nixl_error_text* error, Call&& call) noexcept {
#if defined(__cpp_exceptions)
    try {
        return std::forward<Call>(call)();
    } catch (const std::bad_alloc&) {
        return fail(error, NIXL_NO_MEMORY, 0, "out of memory");
    } catch (const std::exception& problem) {
        return fail(error, NIXL_INTERNAL, 0, "unexpected exception: %s", problem.what());
    } catch (...) {
        return fail(error, NIXL_INTERNAL, 0, "unexpected exception");
    }
#else
    (void)error;
    return std::forward<Call>(call)();
#endif
}

/// Copies what the reader has room for and says how much that is. Both structs start with
/// struct_size.
template <class Struct> void copy_versioned(const Struct& from, Struct* to) noexcept {
    const size_t bytes = to->struct_size < sizeof(Struct) ? to->struct_size : sizeof(Struct);
    std::memcpy(static_cast<void*>(to), &from, bytes);
    to->struct_size = static_cast<uint32_t>(bytes);
}

/// Takes ownership back from an ABI pointer; it is destroyed at the end of the full expression.
template <class T> std::unique_ptr<T> adopt(void* pointer) noexcept {
    return std::unique_ptr<T>(static_cast<T*>(pointer));
}

/// The C functions of one backend class.
template <class Backend> struct Functions {
    using Queue = typename Backend::Queue;

    static Backend& of(void* instance) noexcept { return *static_cast<Backend*>(instance); }
    static Queue& queue_of(void* queue) noexcept { return *static_cast<Queue*>(queue); }

    static nixl_status probe(void*, const nixl_host_v1* host, nixl_caps* out,
                             nixl_error_text* error) noexcept {
        nixl_caps caps{};
        caps.struct_size = sizeof caps;
        caps.align_bytes = 1;
        const nixl_status status =
            guarded(error, [&] { return Backend::probe(Host(host), &caps, error); });
        // Also when it is refused: the pairs that it would have offered may be told.
        copy_versioned(caps, out);
        return status;
    }

    static nixl_status open(void*, const nixl_host_v1* host, void** instance,
                            nixl_error_text* error) noexcept {
        return guarded(error, [&]() -> nixl_status {
            auto backend = std::make_unique<Backend>(Host(host));
            if constexpr (has_open<Backend>::value) {
                if (const nixl_status status = backend->open(error); status != NIXL_OK)
                    return status;
            }
            *instance = backend.release();
            return NIXL_OK;
        });
    }

    static void close(void* instance) noexcept { adopt<Backend>(instance); }

    static nixl_status queue_open(void* instance, uint32_t depth, void* host_queue, void** queue,
                                  nixl_error_text* error) noexcept {
        return guarded(error, [&]() -> nixl_status {
            auto opened = std::make_unique<Queue>(of(instance), depth, host_queue);
            if constexpr (has_open<Queue>::value) {
                if (const nixl_status status = opened->open(error); status != NIXL_OK)
                    return status;
            }
            *queue = opened.release();
            return NIXL_OK;
        });
    }

    static void queue_close(void* queue) noexcept { adopt<Queue>(queue); }

    static uint64_t submit(void* queue, const nixl_batch* batch) noexcept {
        return queue_of(queue).submit(*batch);
    }
    static uint32_t poll(void* queue, nixl_completion* out, uint32_t capacity) noexcept {
        return queue_of(queue).poll(out, capacity);
    }
};

template <class Backend> void fill_required(nixl_backend_v1* table) noexcept {
    using Queue = typename Backend::Queue;
    static_assert(
        noexcept(std::declval<Queue&>().submit(std::declval<const nixl_batch&>()))&& noexcept(
            std::declval<Queue&>().poll(nullptr, 0)),
        "the data path must not throw: declare submit() and poll() noexcept");
    using F = Functions<Backend>;
    table->abi = NIXL_BACKEND_ABI;
    table->name = Backend::NAME;
    table->probe = F::probe;
    table->open = F::open;
    table->close = F::close;
    table->queue_open = F::queue_open;
    table->queue_close = F::queue_close;
    table->submit = F::submit;
    table->poll = F::poll;
}

template <class Backend> void fill_regions(nixl_backend_v1* table) noexcept {
    using F = Functions<Backend>;
    if constexpr (has_attach<Backend>::value) {
        using Registration = typename Backend::Registration;
        table->attach = [](void* instance, const nixl_region_desc* region, void** registration,
                           nixl_error_text* error) noexcept {
            return guarded(error, [&]() -> nixl_status {
                std::unique_ptr<Registration> made;
                const nixl_status status = F::of(instance).attach(*region, &made, error);
                if (status == NIXL_OK)
                    *registration = made.release();
                return status;
            });
        };
        table->detach = [](void*, void* registration) noexcept {
            adopt<Registration>(registration);
        };
        if constexpr (has_flush<Backend>::value)
            table->flush = [](void* instance, void* registration, nixl_error_text* error) noexcept {
                return guarded(error, [&] {
                    return F::of(instance).flush(*static_cast<Registration*>(registration), error);
                });
            };
    }
    if constexpr (has_prepare<Backend>::value) {
        using Prepared = typename Backend::Prepared;
        table->prepare = [](void* instance, const nixl_region* regions, uint32_t region_count,
                            const nixl_block* blocks, uint64_t block_count, int32_t device,
                            void** prepared, nixl_error_text* error) noexcept {
            return guarded(error, [&]() -> nixl_status {
                std::unique_ptr<Prepared> made;
                const nixl_status status = F::of(instance).prepare(
                    regions, region_count, blocks, block_count, device, &made, error);
                if (status == NIXL_OK)
                    *prepared = made.release();
                return status;
            });
        };
        table->unprepare = [](void*, void* prepared) noexcept { adopt<Prepared>(prepared); };
    }
    if constexpr (has_engine_of<Backend>::value)
        table->engine_of = [](void* instance, const nixl_batch* batch) noexcept -> const char* {
            return batch->element_count == 0 ? nullptr : F::of(instance).engine_of(*batch);
        };
    if constexpr (has_text_of<Backend>::value)
        table->text_of = [](void* instance, int32_t detail, nixl_error_text* out) noexcept {
            (void)guarded(out, [&] {
                F::of(instance).text_of(detail, out);
                return NIXL_OK;
            });
        };
}

template <class Backend> void fill_queue_extras(nixl_backend_v1* table) noexcept {
    using Queue = typename Backend::Queue;
    using F = Functions<Backend>;
    if constexpr (has_cancel<Queue>::value)
        table->cancel = [](void* queue, uint64_t tag) noexcept { F::queue_of(queue).cancel(tag); };
    if constexpr (has_arm<Queue>::value)
        table->arm = [](void* queue) noexcept -> int { return F::queue_of(queue).arm() ? 1 : 0; };
    if constexpr (has_fd<Queue>::value)
        table->queue_fd = [](void* queue) noexcept -> int { return F::queue_of(queue).fd(); };
    if constexpr (has_assist<Queue>::value)
        table->assist = [](void* queue) noexcept -> int {
            return static_cast<int>(F::queue_of(queue).assist());
        };
    if constexpr (has_notify<Queue>::value)
        table->notify = [](void* queue, nixl_peer_id peer, const void* message, uint64_t bytes,
                           uint64_t tag) noexcept {
            return F::queue_of(queue).notify(peer, message, bytes, tag);
        };
    if constexpr (has_move_now<Queue>::value)
        table->move_now = [](void* queue, const nixl_batch* batch) noexcept -> nixl_status {
            return F::queue_of(queue).move_now(*batch) ? NIXL_OK : NIXL_AGAIN;
        };
}

} // namespace detail

/// Fills *out as far as its struct_size reaches. UNSUPPORTED when the core speaks another ABI, or
/// an older one that has no room for the functions every backend needs.
template <class Backend>
nixl_status fill_table(const nixl_host_v1* host, nixl_backend_v1* out) noexcept {
    constexpr size_t NEEDED = offsetof(nixl_backend_v1, poll) + sizeof(nixl_backend_v1::poll);
    if (out == nullptr || (host != nullptr && host->abi != NIXL_BACKEND_ABI) ||
        out->struct_size < NEEDED)
        return NIXL_UNSUPPORTED;
    nixl_backend_v1 table{};
    table.struct_size = sizeof table;
    detail::fill_required<Backend>(&table);
    detail::fill_regions<Backend>(&table);
    detail::fill_queue_extras<Backend>(&table);
    detail::copy_versioned(table, out);
    return NIXL_OK;
}

} // namespace nixl::sdk
