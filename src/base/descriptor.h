// SPDX-License-Identifier: Apache-2.0
// Owners of what the kernel lends: file descriptors, event counters, mappings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/status.h"

namespace nixl::core {

/// Owns one file descriptor.
class Descriptor {
  public:
    Descriptor() = default;
    explicit Descriptor(int fd) noexcept : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        reset(std::exchange(other.fd_, -1));
        return *this;
    }
    ~Descriptor() { reset(); }

    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] bool open() const noexcept { return fd_ >= 0; }
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
    void reset(int fd = -1) noexcept;

  private:
    int fd_ = -1;
};

/// An eventfd: readable after signal(), until drain().
///
/// Threads: any thread.
class EventFd {
  public:
    static Result<EventFd> create();
    void signal() const noexcept;
    void drain() const noexcept;
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

  private:
    explicit EventFd(Descriptor fd) : fd_(std::move(fd)) {}
    Descriptor fd_;
};

/// Owns one memory mapping.
class Mapping {
  public:
    Mapping() = default;
    Mapping(void* address, size_t bytes) noexcept : address_(address), bytes_(bytes) {}
    Mapping(Mapping&& other) noexcept
        : address_(std::exchange(other.address_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {
    }
    Mapping& operator=(Mapping&& other) noexcept {
        if (this != &other) {
            unmap();
            address_ = std::exchange(other.address_, nullptr);
            bytes_ = std::exchange(other.bytes_, 0);
        }
        return *this;
    }
    ~Mapping() { unmap(); }

    /// Zeroed memory in a memfd of its own, so that another process can map it. Committed on first
    /// use.
    static Result<Mapping> shareable(size_t bytes, Descriptor* memfd);

    [[nodiscard]] std::byte* data() const noexcept { return static_cast<std::byte*>(address_); }
    [[nodiscard]] size_t bytes() const noexcept { return bytes_; }
    /// Gives the mapping up without unmapping it (quarantine).
    void abandon() noexcept { address_ = nullptr; }

  private:
    void unmap() noexcept;
    void* address_ = nullptr;
    size_t bytes_ = 0;
};

} // namespace nixl::core
