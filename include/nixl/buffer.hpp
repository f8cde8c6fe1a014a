// SPDX-License-Identifier: Apache-2.0
// Both ends of every transfer: memory of any kind, a file, a block device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include <nixl/context.hpp>

namespace nixl {

enum class MemoryType { HOST, HOST_PINNED, DEVICE, MANAGED, FILE, BLOCK, OBJECT };

/// How to open storage; combine with |.
enum class OpenMode : std::uint32_t {
    READ_WRITE = 0,
    READ_ONLY = NIXL_BUFFER_READ_ONLY,
    DIRECT = NIXL_BUFFER_DIRECT,     ///< bypass the page cache
    CREATE = NIXL_BUFFER_CREATE,     ///< create the file when missing
    TRUNCATE = NIXL_BUFFER_TRUNCATE, ///< empty the file first
    FORCE = NIXL_BUFFER_FORCE        ///< allow writing to a block device
};

constexpr OpenMode operator|(OpenMode a, OpenMode b) noexcept {
    return static_cast<OpenMode>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}

/// A move-only owner of one registration. Destroying it waits until no operation uses it any more
/// (for memory that it allocated itself at most 30 s; that stays mapped until then). Destroying it
/// after finalize(), or in a forked child, does nothing.
class Buffer {
  public:
    /// Describes memory of the caller, copies nothing. The memory must outlive the Buffer and stay
    /// where it is (a vector that grows moves). HOST_PINNED locks the pages; DEVICE and MANAGED
    /// take a device address.
    static Buffer from_host(void* address, std::size_t bytes, MemoryType type = MemoryType::HOST,
                            nixl_context context = default_context(), int device = 0) {
        return wrap(address, bytes, type, 0, context, device);
    }
    /// The same for memory that is only read: as a target it is refused (PERMISSION_DENIED).
    static Buffer from_host(const void* address, std::size_t bytes,
                            MemoryType type = MemoryType::HOST,
                            nixl_context context = default_context(), int device = 0) {
        return wrap(const_cast<void*>(address), bytes, type, NIXL_BUFFER_READ_ONLY, context,
                    device);
    }
    /// No memory: `bytes` must be 0.
    static Buffer from_host(std::nullptr_t, std::size_t bytes, MemoryType type = MemoryType::HOST,
                            nixl_context context = default_context(), int device = 0) {
        return wrap(nullptr, bytes, type, 0, context, device);
    }
    /// Zeroed memory that the library owns.
    static Buffer allocate(std::size_t bytes, MemoryType type = MemoryType::HOST, int device_id = 0,
                           nixl_context context = default_context()) {
        Buffer buffer(context);
        buffer.drain_ns_ = DRAIN_NS;
        detail::check(nixl_buffer_allocate(context, bytes, kind_of(type),
                                           is_on_device(type) ? device_id : -1, 0,
                                           &buffer.handle_));
        return buffer;
    }
    /// `bytes` bytes of a file from `offset` on; 0: to the end of what is there now. Writing past
    /// the end extends the file.
    static Buffer open_file(const std::string& path, OpenMode mode = OpenMode::READ_WRITE,
                            std::uint64_t offset = 0, std::uint64_t bytes = 0,
                            nixl_context context = default_context()) {
        return open(path, NIXL_KIND_FILE, mode, offset, bytes, context);
    }
    /// The same for a block device, or a file used as one.
    static Buffer open_block(const std::string& path, OpenMode mode = OpenMode::READ_WRITE,
                             std::uint64_t offset = 0, std::uint64_t bytes = 0,
                             nixl_context context = default_context()) {
        return open(path, NIXL_KIND_BLOCK, mode, offset, bytes, context);
    }

    ~Buffer() { close_quietly(); }
    Buffer(Buffer&& other) noexcept
        : context_(other.context_), handle_(std::exchange(other.handle_, nixl_buffer{})),
          drain_ns_(other.drain_ns_) {}
    Buffer& operator=(Buffer&& other) noexcept {
        if (this != &other) {
            close_quietly();
            context_ = other.context_;
            handle_ = std::exchange(other.handle_, nixl_buffer{});
            drain_ns_ = other.drain_ns_;
        }
        return *this;
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    /// Gives the registration, and memory of allocate(), back now. Twice, or after finalize(), does
    /// nothing. Throws BUSY when a transfer still uses it after `timeout_ns`.
    void free(std::int64_t timeout_ns = 30'000'000'000) {
        if (handle_.generation == 0)
            return;
        const nixl_status status = nixl_buffer_free(context_, handle_, timeout_ns);
        if (status != NIXL_OK && status != NIXL_STALE)
            detail::throw_last_error(status);
        handle_ = nixl_buffer{};
    }
    /// Storage: what was written is durable when this returns. Memory: nothing to do.
    void flush() const { detail::check(nixl_buffer_flush(context_, handle())); }

    [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(describe().bytes); }
    /// The first byte; nullptr for storage.
    [[nodiscard]] void* data() const {
        return reinterpret_cast<void*>(static_cast<std::uintptr_t>(describe().address));
    }
    [[nodiscard]] MemoryType type() const { return type_of(describe().kind); }
    [[nodiscard]] int device() const { return describe().device; }
    [[nodiscard]] bool is_read_only() const {
        return (describe().flags & NIXL_BUFFER_READ_ONLY) != 0;
    }

    [[nodiscard]] nixl_context context() const noexcept { return context_; }
    /// For calls of the C ABI. Throws STALE when the buffer was freed or moved from.
    [[nodiscard]] nixl_buffer handle() const {
        if (handle_.generation == 0)
            throw NIXLException(Code::STALE, "the buffer was freed or moved from");
        return handle_;
    }

  private:
    friend class MemoryPool;

    /// For memory of the library's own: it stays mapped when this is over.
    static constexpr std::int64_t DRAIN_NS = 30'000'000'000;

    explicit Buffer(nixl_context context) noexcept : context_(context) {}

    static Buffer wrap(void* address, std::size_t bytes, MemoryType type, std::uint32_t flags,
                       nixl_context context, int device) {
        Buffer buffer(context);
        std::uint32_t kind = kind_of(type);
        if (type == MemoryType::HOST_PINNED) { // the memory is pageable; the library is to pin it
            kind = NIXL_KIND_HOST;
            flags |= NIXL_BUFFER_PIN;
        }
        detail::check(nixl_buffer_wrap(context, address, bytes, kind,
                                       is_on_device(type) ? device : -1, flags, &buffer.handle_));
        return buffer;
    }
    static Buffer open(const std::string& path, std::uint32_t kind, OpenMode mode,
                       std::uint64_t offset, std::uint64_t bytes, nixl_context context) {
        Buffer buffer(context);
        detail::check(nixl_buffer_open(context, path.c_str(), kind, offset, bytes,
                                       static_cast<std::uint32_t>(mode), &buffer.handle_));
        return buffer;
    }
    static bool is_on_device(MemoryType type) noexcept {
        return type == MemoryType::DEVICE || type == MemoryType::MANAGED;
    }
    static std::uint32_t kind_of(MemoryType type) noexcept {
        return static_cast<std::uint32_t>(type) + NIXL_KIND_HOST; // same order
    }
    static MemoryType type_of(std::uint32_t kind) noexcept {
        return static_cast<MemoryType>(kind - NIXL_KIND_HOST);
    }
    [[nodiscard]] nixl_buffer_description describe() const {
        nixl_buffer_description description = NIXL_INIT(nixl_buffer_description);
        detail::check(nixl_buffer_describe(context_, handle(), &description));
        return description;
    }
    void close_quietly() noexcept {
        if (handle_.generation == 0)
            return;
        // BUSY is the only answer after which an operation could still touch the caller's memory.
        if (nixl_buffer_free(context_, handle_, drain_ns_) == NIXL_BUSY && drain_ns_ < 0)
            detail::complain("freeing a buffer", "an operation is still in flight on its memory");
        handle_ = nixl_buffer{};
    }

    nixl_context context_{};
    nixl_buffer handle_{};
    std::int64_t drain_ns_ =
        -1; // wrapped memory is the caller's again after this: wait for the end
};

static_assert(static_cast<unsigned>(MemoryType::OBJECT) + NIXL_KIND_HOST == NIXL_KIND_OBJECT,
              "MemoryType follows the order of the kinds");

} // namespace nixl
