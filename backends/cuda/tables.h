// SPDX-License-Identifier: Apache-2.0
// HOT
// Memory for what kernels read: tables that the host fills, each with a copy on the GPU.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "gpus.h"

namespace nixl::core::cuda {

/// One of them; lent to one flight at a time.
struct Table {
    static constexpr uint64_t BYTES = 512 * 1024;

    std::byte* host = nullptr; ///< page-locked, BYTES long; GPUs read it at the same address
    Address on_gpu = 0;        ///< 0: the GPU has no room for it, and reads the host's
    Event uploaded = nullptr;
    bool is_lent = false;
};

/// The tables of one line. Threads: the queue's driver. The GPU's context is current in every call
/// but the constructor and the destructor.
class Tables {
  public:
    explicit Tables(const Gpu& gpu) : gpu_(gpu) {}
    ~Tables(); ///< nothing reads them any more
    Tables(const Tables&) = delete;
    Tables& operator=(const Tables&) = delete;

    /// Makes them, the first time. False: they cannot be made, for want of page-locked memory.
    bool open() noexcept;
    [[nodiscard]] bool has_free() const noexcept;
    /// A free one; nullptr: all are lent. Only where open() said true.
    Table* take() noexcept;
    static void give(Table& table) noexcept { table.is_lent = false; }

    /// Makes the first `bytes` of a table readable, at *out, by what follows on the stream. The
    /// copy runs beside what is on the stream already; few bytes are read where they are.
    CuResult upload(const Table& table, uint64_t bytes, Stream stream, Address* out) noexcept;

  private:
    static constexpr uint32_t COUNT = 4;
    static constexpr uint64_t SMALL_BYTES = 8 * 1024;

    CuResult make() noexcept;
    void close() noexcept;

    const Gpu& gpu_;
    Stream stream_ = nullptr; ///< of the uploads
    std::byte* host_ = nullptr;
    Address on_gpu_ = 0;
    std::array<Table, COUNT> tables_{};
    enum class State : uint8_t { UNTRIED, OPEN, FAILED } state_ = State::UNTRIED;
};

} // namespace nixl::core::cuda
