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

#include "tests/support/gpu_memory.h"
#include "tests/support/loop_device.h"

namespace nixl::test {
namespace {

constexpr unsigned char PATTERN = 0xC5;

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

/// A range of something that has a name, with margins around it.
class Storage : public Place {
  public:
    ~Storage() override { ::close(fd_); }

    void write(const Bytes& content) override {
        EXPECT_EQ(::pwrite(fd_, content.data(), content.size(), static_cast<off_t>(start_)),
                  static_cast<ssize_t>(content.size()));
    }
    [[nodiscard]] Bytes read() const override { return read_at(start_, bytes_); }
    [[nodiscard]] std::string damage() const override {
        if (read_at(start_ - MARGIN_BYTES, MARGIN_BYTES) != Bytes(MARGIN_BYTES, PATTERN))
            return path_ + " was written before the range";
        if (read_at(start_ + bytes_, MARGIN_BYTES) != Bytes(MARGIN_BYTES, PATTERN))
            return path_ + " was written after the range";
        return "";
    }
    [[nodiscard]] nixl_region_desc description() const override {
        nixl_region_desc desc{};
        desc.struct_size = sizeof desc;
        desc.kind = kind_;
        desc.address = start_;
        desc.bytes = bytes_;
        desc.device = -1;
        desc.fd = fd_;
        desc.uri = path_.c_str();
        return desc;
    }
    [[nodiscard]] std::string path() const override { return path_; }
    [[nodiscard]] uint64_t offset() const override { return start_; }

  protected:
    Storage(uint32_t kind, const std::string& path, uint64_t start, uint64_t bytes)
        : Place(kind, bytes), path_(path), start_(start),
          fd_(::open(path.c_str(), O_RDWR | O_CLOEXEC)) {
        EXPECT_GE(fd_, 0) << path;
        const Bytes margin(MARGIN_BYTES, PATTERN);
        for (const uint64_t at : {start - MARGIN_BYTES, start + bytes})
            EXPECT_EQ(::pwrite(fd_, margin.data(), MARGIN_BYTES, static_cast<off_t>(at)),
                      static_cast<ssize_t>(MARGIN_BYTES));
        write(Bytes(bytes));
    }
    [[nodiscard]] Bytes read_at(uint64_t offset, uint64_t bytes) const {
        Bytes content(bytes);
        EXPECT_EQ(::pread(fd_, content.data(), bytes, static_cast<off_t>(offset)),
                  static_cast<ssize_t>(bytes));
        return content;
    }

    static constexpr uint64_t MARGIN_BYTES = 4096;
    const std::string path_;
    const uint64_t start_;
    const int fd_;
};

struct Named { // made before the Storage that opens it
    ScratchPath scratch;
};

class File final : private Named, public Storage {
  public:
    File(uint64_t bytes, uint32_t kind) : Storage(kind, scratch.text(), MARGIN_BYTES, bytes) {}

    [[nodiscard]] std::string damage() const override {
        struct stat status = {};
        EXPECT_EQ(::fstat(fd_, &status), 0);
        if (static_cast<uint64_t>(status.st_size) != bytes_ + 2 * MARGIN_BYTES)
            return "the file has another size";
        return Storage::damage();
    }
};

/// The device of this process, and how much of it is given out. Sparse: unused bytes cost nothing.
struct Disk {
    static constexpr uint64_t BYTES = uint64_t{1} << 30;
    std::unique_ptr<LoopDevice> device;
    uint64_t next = 0, ranges = 0;

    Disk() {
        const ScratchPath backing; // the device keeps the file, so that its name may go
        backing.resize(BYTES);
        device = std::make_unique<LoopDevice>(backing.text());
    }
    uint64_t take(uint64_t bytes) {
        constexpr uint64_t PAGE = 4096;
        const uint64_t start = next;
        next += (bytes + PAGE - 1) / PAGE * PAGE;
        ++ranges;
        EXPECT_LE(next, BYTES) << "more blocks at a time than the device has";
        return start;
    }
    void give_back() {
        if (--ranges == 0)
            next = 0;
    }
};

Disk& disk() {
    static Disk the_disk;
    return the_disk;
}

class Block final : public Storage {
  public:
    explicit Block(uint64_t bytes)
        : Storage(NIXL_KIND_BLOCK, disk().device->path(),
                  disk().take(bytes + 2 * MARGIN_BYTES) + MARGIN_BYTES, bytes) {}
    ~Block() override { disk().give_back(); }
};

class OnGpu final : public Place {
  public:
    OnGpu(uint64_t bytes, uint32_t kind, int device)
        : Place(kind, bytes), memory_(bytes + 2 * MARGIN_BYTES, kind, device) {
        memory_.write(0, Bytes(MARGIN_BYTES, PATTERN));
        memory_.write(MARGIN_BYTES, Bytes(bytes));
        memory_.write(MARGIN_BYTES + bytes, Bytes(MARGIN_BYTES, PATTERN));
    }
    void write(const Bytes& content) override { memory_.write(MARGIN_BYTES, content); }
    [[nodiscard]] Bytes read() const override { return memory_.read(MARGIN_BYTES, bytes_); }
    [[nodiscard]] std::string damage() const override {
        for (const uint64_t at : {uint64_t{0}, MARGIN_BYTES + bytes_})
            if (memory_.read(at, MARGIN_BYTES) != Bytes(MARGIN_BYTES, PATTERN))
                return "GPU memory beside the range was written";
        return "";
    }
    [[nodiscard]] nixl_region_desc description() const override {
        nixl_region_desc desc{};
        desc.struct_size = sizeof desc;
        desc.kind = kind_;
        desc.address = memory_.address() + MARGIN_BYTES;
        desc.bytes = bytes_;
        desc.device = memory_.device();
        desc.fd = -1;
        return desc;
    }
    [[nodiscard]] void* address() const override {
        return reinterpret_cast<void*>(memory_.address() + MARGIN_BYTES);
    }
    [[nodiscard]] int device() const override { return memory_.device(); }

  private:
    static constexpr uint64_t MARGIN_BYTES = 1024;
    const GpuMemory memory_;
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

std::unique_ptr<Place> make_block(uint64_t bytes) { return std::make_unique<Block>(bytes); }

const std::string& block_refusal() { return disk().device->reason(); }

std::unique_ptr<Place> make_gpu_memory(uint64_t bytes, uint32_t kind, int device) {
    return std::make_unique<OnGpu>(bytes, kind, device);
}

std::unique_ptr<Place> make_place(uint32_t kind, uint64_t bytes, int device) {
    switch (kind) {
    case NIXL_KIND_HOST:
    case NIXL_KIND_PINNED:
        return make_memory(bytes, kind);
    case NIXL_KIND_FILE:
        return make_file(bytes, kind);
    case NIXL_KIND_BLOCK:
        return make_block(bytes);
    case NIXL_KIND_DEVICE:
    case NIXL_KIND_MANAGED:
        return make_gpu_memory(bytes, kind, device);
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
