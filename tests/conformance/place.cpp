// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/place.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace nixl::test {
namespace {

constexpr unsigned char PATTERN = 0xC5;
constexpr uint64_t FILE_MARGIN_BYTES = 4096;

uint64_t page_bytes() { return static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)); }

class Memory final : public Place {
  public:
    Memory(uint64_t bytes, uint32_t kind) : Place(kind, bytes) {
        const uint64_t page = page_bytes();
        const uint64_t body = (std::max<uint64_t>(bytes, 1) + page - 1) / page * page;
        mapped_bytes_ = body + 2 * page;
        void* const mapped = ::mmap(nullptr, mapped_bytes_, PROT_NONE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        EXPECT_NE(mapped, MAP_FAILED);
        mapped_ = static_cast<unsigned char*>(mapped);
        body_ = mapped_ + page;
        EXPECT_EQ(::mprotect(body_, body, PROT_READ | PROT_WRITE), 0);
        first_ = body_ + body - bytes;
        std::fill(body_, first_, PATTERN);
    }
    ~Memory() override { ::munmap(mapped_, mapped_bytes_); }

    void write(const Bytes& content) override { std::copy(content.begin(), content.end(), first_); }
    [[nodiscard]] Bytes read() const override { return Bytes(first_, first_ + bytes_); }
    [[nodiscard]] std::string damage() const override {
        const bool whole =
            std::all_of(body_, first_, [](unsigned char byte) { return byte == PATTERN; });
        return whole ? "" : "memory before the range was written";
    }
    [[nodiscard]] nixl_region_desc description() const override {
        nixl_region_desc desc{};
        desc.struct_size = sizeof desc;
        desc.kind = kind_;
        desc.address = reinterpret_cast<uintptr_t>(first_);
        desc.bytes = bytes_;
        desc.device = -1;
        desc.fd = -1;
        return desc;
    }
    [[nodiscard]] void* address() const override { return first_; }

  private:
    unsigned char* mapped_;
    unsigned char* body_;
    unsigned char* first_;
    uint64_t mapped_bytes_;
};

class File final : public Place {
  public:
    File(uint64_t bytes, uint32_t kind) : Place(kind, bytes) {
        scratch_.write(Bytes(bytes + 2 * FILE_MARGIN_BYTES, PATTERN));
        fd_ = ::open(scratch_.c_str(), O_RDWR | O_CLOEXEC);
        EXPECT_GE(fd_, 0);
        write(Bytes(bytes));
    }
    ~File() override { ::close(fd_); }

    void write(const Bytes& content) override {
        EXPECT_EQ(::pwrite(fd_, content.data(), content.size(), FILE_MARGIN_BYTES),
                  static_cast<ssize_t>(content.size()));
    }
    [[nodiscard]] Bytes read() const override {
        Bytes content(bytes_);
        EXPECT_EQ(::pread(fd_, content.data(), bytes_, FILE_MARGIN_BYTES),
                  static_cast<ssize_t>(bytes_));
        return content;
    }
    [[nodiscard]] std::string damage() const override {
        const Bytes all = scratch_.read();
        if (all.size() != bytes_ + 2 * FILE_MARGIN_BYTES)
            return "the file has another size";
        const auto is_pattern = [](unsigned char byte) { return byte == PATTERN; };
        const auto margin = static_cast<std::ptrdiff_t>(FILE_MARGIN_BYTES);
        if (!std::all_of(all.begin(), all.begin() + margin, is_pattern))
            return "the file was written before the range";
        return std::all_of(all.end() - margin, all.end(), is_pattern)
                   ? ""
                   : "the file was written after the range";
    }
    [[nodiscard]] nixl_region_desc description() const override {
        nixl_region_desc desc{};
        desc.struct_size = sizeof desc;
        desc.kind = kind_;
        desc.address = FILE_MARGIN_BYTES;
        desc.bytes = bytes_;
        desc.device = -1;
        desc.fd = fd_;
        desc.uri = scratch_.c_str();
        return desc;
    }
    [[nodiscard]] std::string path() const override { return scratch_.text(); }
    [[nodiscard]] uint64_t offset() const override { return FILE_MARGIN_BYTES; }

  private:
    ScratchPath scratch_;
    int fd_ = -1;
};

} // namespace

Bytes random_bytes(uint64_t count, uint64_t seed) {
    Bytes bytes(count);
    uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
    uint64_t i = 0;
    while (i < count) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        const uint64_t part = std::min<uint64_t>(sizeof state, count - i);
        std::memcpy(bytes.data() + i, &state, part);
        i += part;
    }
    return bytes;
}

std::unique_ptr<Place> make_memory(uint64_t bytes, uint32_t kind) {
    return std::make_unique<Memory>(bytes, kind);
}

std::unique_ptr<Place> make_file(uint64_t bytes, uint32_t kind) {
    return std::make_unique<File>(bytes, kind);
}

std::unique_ptr<Place> make_place(uint32_t kind, uint64_t bytes) {
    switch (kind) {
    case NIXL_KIND_HOST:
    case NIXL_KIND_PINNED:
        return make_memory(bytes, kind);
    case NIXL_KIND_FILE:
        return make_file(bytes, kind);
    default:
        return nullptr;
    }
}

ScratchPath::ScratchPath() {
    const char* const folder = std::getenv("TMPDIR");
    text_ = std::string(folder != nullptr ? folder : "/tmp") + "/nixl-conformance-XXXXXX";
    const int fd = ::mkstemp(text_.data());
    EXPECT_GE(fd, 0) << text_;
    ::close(fd);
}

ScratchPath::~ScratchPath() { ::unlink(text_.c_str()); }

void ScratchPath::write(const Bytes& content) const {
    const int fd = ::open(text_.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
    EXPECT_EQ(::pwrite(fd, content.data(), content.size(), 0),
              static_cast<ssize_t>(content.size()));
    ::close(fd);
}

Bytes ScratchPath::read() const {
    const int fd = ::open(text_.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat status = {};
    EXPECT_EQ(::fstat(fd, &status), 0);
    Bytes content(static_cast<size_t>(status.st_size));
    EXPECT_EQ(::pread(fd, content.data(), content.size(), 0), static_cast<ssize_t>(content.size()));
    ::close(fd);
    return content;
}

void ScratchPath::resize(uint64_t bytes) const {
    EXPECT_EQ(::truncate(text_.c_str(), static_cast<off_t>(bytes)), 0);
}

} // namespace nixl::test
