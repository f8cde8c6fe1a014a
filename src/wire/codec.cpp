// SPDX-License-Identifier: Apache-2.0
#include "wire/codec.h"

#include <algorithm>
#include <array>

namespace nixl::core {

namespace {

constexpr size_t HEADER_BYTES = 4 + 2 + 2; // magic, version, reserved
constexpr size_t CHECKSUM_BYTES = 4;

constexpr std::array<uint32_t, 256> make_crc_table() {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; ++i) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit)
            value = (value >> 1) ^ ((value & 1) != 0 ? 0xEDB88320u : 0);
        table[i] = value;
    }
    return table;
}

constexpr auto CRC_TABLE = make_crc_table();

void append(std::vector<uint8_t>& out, uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i)
        out.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

uint64_t load(std::span<const uint8_t> bytes) noexcept {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.size(); ++i)
        value |= static_cast<uint64_t>(bytes[i]) << (8 * i);
    return value;
}

} // namespace

uint32_t crc32(std::span<const uint8_t> bytes) noexcept {
    uint32_t value = 0xFFFFFFFFu;
    for (const uint8_t byte : bytes)
        value = (value >> 8) ^ CRC_TABLE[(value ^ byte) & 0xFF];
    return ~value;
}

WireWriter::WireWriter(WireMagic magic) {
    append(out_, static_cast<uint32_t>(magic), 4);
    append(out_, WIRE_VERSION, 2);
    append(out_, 0, 2);
}

WireWriter& WireWriter::u32(uint32_t value) {
    append(out_, value, 4);
    return *this;
}

WireWriter& WireWriter::u64(uint64_t value) {
    append(out_, value, 8);
    return *this;
}

WireWriter& WireWriter::bytes(std::span<const uint8_t> value) {
    append(out_, value.size(), 8);
    const auto start = static_cast<ptrdiff_t>(out_.size());
    out_.resize(out_.size() + value.size());
    std::copy(value.begin(), value.end(), out_.begin() + start); // insert() makes GCC 13 warn
    return *this;
}

WireWriter& WireWriter::text(std::string_view value) {
    return bytes({reinterpret_cast<const uint8_t*>(value.data()), value.size()});
}

std::vector<uint8_t> WireWriter::finish() && {
    append(out_, crc32(out_), CHECKSUM_BYTES);
    return std::move(out_);
}

Result<WireReader> WireReader::open(std::span<const uint8_t> message, WireMagic magic) {
    if (message.size() < HEADER_BYTES + CHECKSUM_BYTES)
        return Error(Code::CORRUPT,
                     "message of " + std::to_string(message.size()) + " bytes is too short");
    const auto body = message.first(message.size() - CHECKSUM_BYTES);
    if (load(body.first(4)) != static_cast<uint32_t>(magic))
        return Error(Code::CORRUPT, "message is of another kind");
    if (crc32(body) != load(message.last(CHECKSUM_BYTES)))
        return Error(Code::CORRUPT, "message fails its checksum");
    if (const uint64_t version = load(body.subspan(4, 2)); version != WIRE_VERSION)
        return Error(Code::UNSUPPORTED, "message has version " + std::to_string(version) +
                                            ", this library speaks version " +
                                            std::to_string(WIRE_VERSION));
    return WireReader(body.subspan(HEADER_BYTES));
}

std::span<const uint8_t> WireReader::take(uint64_t count) {
    if (failed_ || count > left_.size()) {
        failed_ = true;
        return {};
    }
    const auto taken = left_.first(count);
    left_ = left_.subspan(count);
    return taken;
}

uint32_t WireReader::u32() { return static_cast<uint32_t>(load(take(4))); }
uint64_t WireReader::u64() { return load(take(8)); }
std::span<const uint8_t> WireReader::bytes() { return take(u64()); }

std::string WireReader::text() {
    const auto raw = bytes();
    return {reinterpret_cast<const char*>(raw.data()), raw.size()};
}

Result<void> WireReader::finish() const {
    if (failed_)
        return Error(Code::CORRUPT, "message ends in the middle of a field");
    if (!left_.empty())
        return Error(Code::CORRUPT,
                     "message has " + std::to_string(left_.size()) + " bytes too many");
    return {};
}

} // namespace nixl::core
