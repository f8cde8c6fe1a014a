// SPDX-License-Identifier: Apache-2.0
// Memory of the program's own for new buffers, pools and staging.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include <nixl/buffer.hpp>

namespace nixl {

/// Serves memory of one type once the setting `allocator` is its name.
///
/// Threads: its functions are called on any, several at once, and must not call the library.
class Allocator {
  public:
    Allocator() = default;
    Allocator(const Allocator&) = delete;
    Allocator& operator=(const Allocator&) = delete;
    virtual ~Allocator() = default;

    /// nullptr, or any exception: there is not enough memory.
    virtual void* allocate(std::size_t bytes) = 0;
    /// Exactly once for each.
    virtual void free(void* address, std::size_t bytes) noexcept = 0;
    /// HOST (which serves page-locked buffers, too) or DEVICE.
    [[nodiscard]] virtual MemoryType type() const noexcept { return MemoryType::HOST; }
};

namespace detail {

/// What the C ABI calls.
struct AllocatorCalls {
    static Allocator& of(void* user) { return **static_cast<std::shared_ptr<Allocator>*>(user); }
    static void* allocate(void* user, std::uint64_t bytes) noexcept {
        try {
            return of(user).allocate(static_cast<std::size_t>(bytes));
        } catch (...) { // into C it cannot go
            return nullptr;
        }
    }
    static void free(void* user, void* address, std::uint64_t bytes) noexcept {
        of(user).free(address, static_cast<std::size_t>(bytes));
    }
    static void release(void* user) noexcept {
        std::unique_ptr<std::shared_ptr<Allocator>>(static_cast<std::shared_ptr<Allocator>*>(user));
    }
};

} // namespace detail

/// Makes configure({{"allocator", name}}) possible. It is kept until the context is closed, since
/// memory goes back to where it came from. Throws ALREADY_EXISTS when the name is taken.
inline void register_allocator(const std::string& name, std::shared_ptr<Allocator> allocator,
                               nixl_context context = default_context()) {
    if (allocator == nullptr)
        throw NIXLException(Code::INVALID_ARGUMENT, "the allocator is null");
    const MemoryType type = allocator->type();
    if (type != MemoryType::HOST && type != MemoryType::DEVICE)
        throw NIXLException(Code::INVALID_ARGUMENT, "an allocator serves HOST or DEVICE memory");
    nixl_allocator table = NIXL_INIT(nixl_allocator);
    table.kind = type == MemoryType::DEVICE ? NIXL_KIND_DEVICE : NIXL_KIND_HOST;
    auto user = std::make_unique<std::shared_ptr<Allocator>>(std::move(allocator));
    table.user = user.get();
    table.allocate = detail::AllocatorCalls::allocate;
    table.free = detail::AllocatorCalls::free;
    table.release = detail::AllocatorCalls::release;
    detail::check(nixl_allocator_register(context, name.c_str(), &table));
    (void)user.release(); // the context's now
}

} // namespace nixl
