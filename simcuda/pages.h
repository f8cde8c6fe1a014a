// SPDX-License-Identifier: Apache-2.0
// Pages of this process, and files of memory.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>

namespace nixl::simcuda {

/// Pages that are mapped while the object lives.
class Pages {
  public:
    Pages() = default;
    Pages(Pages&& other) noexcept
        : address_(std::exchange(other.address_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {
    }
    Pages& operator=(Pages&& other) noexcept {
        std::swap(address_, other.address_);
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    ~Pages();

    /// Addresses that nobody may touch. `alignment`: a power of two. Empty when there is no room.
    static Pages reserved(size_t bytes, size_t alignment);
    /// Ordinary memory.
    static Pages anonymous(size_t bytes);

    [[nodiscard]] std::byte* address() const { return address_; }
    [[nodiscard]] size_t bytes() const { return bytes_; }
    explicit operator bool() const { return address_ != nullptr; }

  private:
    Pages(std::byte* address, size_t bytes) : address_(address), bytes_(bytes) {}

    std::byte* address_ = nullptr;
    size_t bytes_ = 0;
};

/// A file that lies in memory (memfd). Costs what has been written.
class MemoryFile {
  public:
    MemoryFile() = default;
    MemoryFile(MemoryFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    MemoryFile& operator=(MemoryFile&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~MemoryFile();

    static std::optional<MemoryFile> create(size_t bytes);

    /// Puts a part in place of what is mapped at `address`; the child of a fork does not get it,
    /// as it gets no device memory from the real driver.
    bool show_at(std::byte* address, size_t bytes, size_t offset) const;
    /// Gives the whole pages of a part back; they read as zero then.
    void punch(size_t offset, size_t bytes) const;
    [[nodiscard]] int fd() const { return fd_; }

  private:
    int fd_ = -1;
};

/// Takes what is mapped there away again.
bool hide_at(std::byte* address, size_t bytes);

} // namespace nixl::simcuda
