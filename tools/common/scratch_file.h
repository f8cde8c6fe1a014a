// SPDX-License-Identifier: Apache-2.0
// A file for the time of a run, and a descriptor that closes itself.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace nixl::tools {

class Descriptor {
  public:
    Descriptor() = default;
    explicit Descriptor(int fd) noexcept : fd_(fd) {}
    ~Descriptor() { close(); }
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }
    void close() noexcept;

  private:
    int fd_ = -1;
};

/// Throws Failure. `flags` as of open(2); close-on-exec is added.
[[nodiscard]] Descriptor open_descriptor(const std::string& path, int flags);

/// A file of a new name in a folder, with its blocks allocated. Removed at the latest with this
/// object.
class ScratchFile {
  public:
    /// `folder` "": $TMPDIR, else /tmp. Throws Failure when `bytes` are not free there.
    ScratchFile(const std::string& folder, std::uint64_t bytes);
    ~ScratchFile() { remove(); }
    ScratchFile(const ScratchFile&) = delete;
    ScratchFile& operator=(const ScratchFile&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }
    /// Takes the name away. What is open stays usable and its blocks are freed when it is closed,
    /// so that nothing is left behind even when the process is killed.
    void remove() noexcept;
    void keep() noexcept { kept_ = true; }

  private:
    std::string path_;
    bool kept_ = false;
};

/// $TMPDIR, else /tmp.
[[nodiscard]] std::string temporary_folder();
/// What an ordinary user can still write on the file system of `path`.
[[nodiscard]] std::uint64_t free_disk_bytes(const std::string& path);
/// Throws Failure when a file of `bytes` does not fit into `folder`, a reserve left free; what it
/// has already, `held_bytes`, needs no room. `advice` ends the message.
void check_disk_space(const std::string& folder, std::uint64_t bytes, std::uint64_t held_bytes,
                      const std::string& advice);

} // namespace nixl::tools
