// SPDX-License-Identifier: Apache-2.0
// One end of a benchmark: memory or a file, as the library sees it and as the system does.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <nixl/buffer.hpp>

#include "common/memory.h"
#include "common/scratch_file.h"

namespace nixl::tools {

enum class EndKind { CPU, CPU_PINNED, CPU_PAGEABLE, FILE, GPU };

/// What the command line says of an end.
struct EndWish {
    EndKind kind = EndKind::CPU;
    int device = 0;
    std::string path; ///< a file, a block device, a folder for a file of its own; "": $TMPDIR
    bool direct = false;
    bool overwrite = false; ///< an existing file or device may be written to
};

/// cpu, cpu-pinned, cpu-pageable, file, gpu; DRAM, VRAM, FILE. `option` is for the message.
[[nodiscard]] EndKind parse_end_kind(const std::string& text, const std::string& option);
[[nodiscard]] const char* end_kind_name(EndKind kind);
[[nodiscard]] bool is_cpu(EndKind kind);

class End {
  public:
    enum class Role { SOURCE, TARGET };

    /// `bytes`: what it has to hold. Throws Failure; EXIT_UNAVAILABLE when it needs a device that
    /// is not there.
    End(const EndWish& wish, Role role, std::uint64_t bytes, nixl_context context);

    [[nodiscard]] const nixl::Buffer& buffer() const { return *buffer_; }
    [[nodiscard]] const EndWish& wish() const { return wish_; }
    [[nodiscard]] bool is_file() const { return wish_.kind == EndKind::FILE; }
    /// Its content is the user's: it is only read.
    [[nodiscard]] bool is_given() const { return is_given_; }
    /// "cpu-pinned", "file /tmp/x (direct)"
    [[nodiscard]] std::string describe() const;

    /// nullptr for files and GPUs.
    [[nodiscard]] char* memory() const { return memory_ ? memory_->data() : nullptr; }

    /// A copy of a GPU's end in host memory, made at the first call; nullptr for others. What is in
    /// it is moved by store_all() and fetch_all(), as one range of bytes.
    [[nodiscard]] char* mirror() const;
    void store_all() const;
    void fetch_all() const;

    /// Moves bytes past the library; the page cache too when the end is direct and the pieces are
    /// aligned. `offset` counts from the start of the end. Throws Failure. Of GPUs the library
    /// itself moves them, each piece by a request of its own.
    void read(std::uint64_t offset, char* out, std::uint64_t bytes) const;
    void write(std::uint64_t offset, const char* data, std::uint64_t bytes) const;

  private:
    void open_file(Role role, std::uint64_t bytes, nixl_context context);
    void open_device(std::uint64_t bytes, nixl_context context);
    void copy_mirror(bool to_gpu, std::uint64_t offset, std::uint64_t bytes) const;
    [[nodiscard]] const Descriptor& descriptor_for(std::uint64_t offset, const void* memory,
                                                   std::uint64_t bytes) const;

    EndWish wish_;
    bool is_given_ = false;
    std::optional<ScratchFile> scratch_;
    std::string path_;
    Descriptor cached_, direct_;
    std::unique_ptr<Memory> memory_;
    mutable std::unique_ptr<Memory> mirror_;
    nixl_context context_{};
    std::optional<nixl::Buffer> buffer_; // after the memory under it: freed before
    mutable std::optional<nixl::Buffer> mirror_buffer_;
};

} // namespace nixl::tools
