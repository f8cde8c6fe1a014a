// SPDX-License-Identifier: Apache-2.0
// The bytes that contexts exchange: little-endian fields in length-prefixed records, with a version
// in front and a checksum behind. Everything that is read is bounds-checked; nothing is trusted.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace nixl::core {

/// Which message it is; the first four bytes on the wire.
enum class WireMagic : uint32_t {
    METADATA = 0x4d58494e, ///< "NIXM"
    BUFFER = 0x4258494e    ///< "NIXB"
};

inline constexpr uint16_t WIRE_VERSION = 1;

class WireWriter {
  public:
    explicit WireWriter(WireMagic magic);
    WireWriter& u32(uint32_t value);
    WireWriter& u64(uint64_t value);
    WireWriter& bytes(std::span<const uint8_t> value); ///< with its length in front
    WireWriter& text(std::string_view value);
    /// The message with its checksum.
    [[nodiscard]] std::vector<uint8_t> finish() &&;

  private:
    std::vector<uint8_t> out_;
};

/// Fields are read in the order in which they were written; the first failure makes all later ones
/// fail.
class WireReader {
  public:
    /// CORRUPT: too short, another magic, a wrong checksum. UNSUPPORTED: a newer version.
    static Result<WireReader> open(std::span<const uint8_t> message, WireMagic magic);

    uint32_t u32();
    uint64_t u64();
    std::span<const uint8_t> bytes();
    std::string text();
    [[nodiscard]] bool failed() const noexcept { return failed_; }
    /// Whether everything was read and nothing failed.
    [[nodiscard]] Result<void> finish() const;

  private:
    explicit WireReader(std::span<const uint8_t> body) : left_(body) {}
    std::span<const uint8_t> take(uint64_t count);
    std::span<const uint8_t> left_;
    bool failed_ = false;
};

/// CRC-32 (ISO-HDLC, reflected polynomial 0xEDB88320).
[[nodiscard]] uint32_t crc32(std::span<const uint8_t> bytes) noexcept;

} // namespace nixl::core
