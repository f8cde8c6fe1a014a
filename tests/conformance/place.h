// SPDX-License-Identifier: Apache-2.0
// What tests move bytes between: memory with guard pages, files, ranges
// of a block device. Each can be filled and read
// back, and tells when something outside of it was written.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <nixl/backend.h>

namespace nixl::test {

using Bytes = std::vector<unsigned char>;

/// The same bytes for the same seed, on every machine.
[[nodiscard]] Bytes random_bytes(uint64_t count, uint64_t seed);

/// Threads: one thread.
class Place {
  public:
    virtual ~Place() = default;
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    virtual void write(const Bytes& content) = 0; ///< from its first byte
    [[nodiscard]] virtual Bytes read() const = 0; ///< all of it
    /// "": only the place itself was written since it was made.
    [[nodiscard]] virtual std::string damage() const = 0;

    [[nodiscard]] virtual nixl_region_desc description() const = 0;
    [[nodiscard]] uint32_t kind() const { return kind_; }
    [[nodiscard]] uint64_t bytes() const { return bytes_; }
    [[nodiscard]] virtual void* address() const { return nullptr; }
    [[nodiscard]] virtual int device() const { return -1; } ///< the GPU whose memory it is
    [[nodiscard]] virtual std::string path() const { return {}; }
    [[nodiscard]] virtual uint64_t offset() const { return 0; } ///< of its first byte in the file

  protected:
    Place(uint32_t kind, uint64_t bytes) : kind_(kind), bytes_(bytes) {}
    const uint32_t kind_;
    const uint64_t bytes_;
};

/// Ends right before a page that nobody may touch; what is left of its first page holds a pattern.
[[nodiscard]] std::unique_ptr<Place> make_memory(uint64_t bytes, uint32_t kind = NIXL_KIND_HOST);
/// A range in the middle of a file; what lies around it holds a pattern.
[[nodiscard]] std::unique_ptr<Place> make_file(uint64_t bytes, uint32_t kind = NIXL_KIND_FILE);
/// A range of a block device that all of a process share; what lies around it holds a pattern.
[[nodiscard]] std::unique_ptr<Place> make_block(uint64_t bytes);
/// "": make_block() works here.
[[nodiscard]] const std::string& block_refusal();
/// A range in the middle of an allocation on a GPU; what lies around it holds a pattern.
[[nodiscard]] std::unique_ptr<Place> make_gpu_memory(uint64_t bytes, uint32_t kind, int device);
/// One of these. NULL: no test machine has such a thing.
[[nodiscard]] std::unique_ptr<Place> make_place(uint32_t kind, uint64_t bytes, int device = 0);

/// A name under $TMPDIR that is unlinked at the end.
class ScratchPath {
  public:
    ScratchPath();
    ~ScratchPath();
    ScratchPath(const ScratchPath&) = delete;
    ScratchPath& operator=(const ScratchPath&) = delete;
    [[nodiscard]] const std::string& text() const { return text_; }
    [[nodiscard]] const char* c_str() const { return text_.c_str(); }
    void write(const Bytes& content) const; ///< the whole file
    [[nodiscard]] Bytes read() const;
    void resize(uint64_t bytes) const;

  private:
    std::string text_;
};

} // namespace nixl::test
