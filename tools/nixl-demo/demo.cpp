// SPDX-License-Identifier: Apache-2.0
#include "nixl-demo/demo.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nixl/machine.hpp>
#include <nixl/nixl.h>

#include "common/clock.h"
#include "common/failure.h"
#include "common/interrupt.h"
#include "common/memory.h"
#include "common/scratch_file.h"
#include "common/text.h"
#include "common/units.h"
#include "nixl-demo/leg.h"

namespace nixl::tools {

namespace {

constexpr std::uint64_t CALL_BYTES = 1 << 20;
constexpr unsigned RAW_THREADS = 2;
constexpr int POISON = 0xA5;

/// pread or pwrite of all of a range, 1 MB a call.
template <typename Call>
void whole(Call call, const char* what, std::uint64_t offset, char* memory, std::uint64_t bytes) {
    while (bytes > 0) {
        stop_if_interrupted(); // here, because a window can be as large as the file
        const ssize_t moved = call(memory, std::min(bytes, CALL_BYTES), static_cast<off_t>(offset));
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved <= 0)
            throw moved == 0 ? Failure(EXIT_ERROR, "the file became shorter meanwhile")
                             : system_failure(what, errno);
        memory += moved;
        offset += static_cast<std::uint64_t>(moved);
        bytes -= static_cast<std::uint64_t>(moved);
    }
}

void read_all(int file, std::uint64_t offset, char* memory, std::uint64_t bytes) {
    whole([file](char* to, size_t size, off_t at) { return ::pread(file, to, size, at); },
          "reading the file", offset, memory, bytes);
}

void write_all(int file, std::uint64_t offset, char* memory, std::uint64_t bytes) {
    whole([file](char* from, size_t size, off_t at) { return ::pwrite(file, from, size, at); },
          "writing the second file", offset, memory, bytes);
}

std::uint64_t file_bytes(const Descriptor& file, const std::string& path) {
    struct stat figures {};
    if (fstat(file.get(), &figures) != 0)
        throw system_failure("looking at " + path, errno);
    if (!S_ISREG(figures.st_mode))
        throw Failure(EXIT_ERROR, path + " is no regular file");
    return static_cast<std::uint64_t>(figures.st_size);
}

/// What is read, opened without waiting for anything: for the writer of a FIFO, for one.
Descriptor open_first(const std::string& path) {
    Descriptor file = open_descriptor(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    char byte = 0;
    if (file_bytes(file, path) != 0)
        return file;
    const ssize_t got = ::pread(file.get(), &byte, 1, 0);
    if (got < 0)
        throw system_failure("reading " + path, errno);
    if (got > 0) // it would pass for an empty one, moved and verified
        throw Failure(EXIT_ERROR, path + " says that it has 0 bytes and yet has some, as files of "
                                         "/proc do; copy it and name the copy");
    return file;
}

/// Four windows: two that nixl moves through, one for the raw baseline's reads and copies, and one
/// of bytes that must not be in the second file at the end.
std::uint64_t window_for(const DemoWish& wish, std::uint64_t bytes) {
    const std::uint64_t affordable = get_free_memory() / 8 / CALL_BYTES * CALL_BYTES;
    return std::max<std::uint64_t>(
        1, std::min({bytes, wish.window_bytes, std::max(affordable, CALL_BYTES)}));
}

class Demo {
  public:
    Demo(const DemoWish& wish)
        : wish_(wish), first_file_(open_first(wish.file)),
          bytes_(file_bytes(first_file_, wish.file)), window_(window_for(wish, bytes_)),
          second_("", bytes_), second_file_(open_descriptor(second_.path(), O_RDWR)),
          first_(window_), middle_(window_), spare_(window_), poison_(window_), crew_(RAW_THREADS) {
    }

    void run() {
        announce();
        if (bytes_ != 0)
            move();
        const std::uint64_t start_ns = now_ns();
        verify();
        std::fputs(Leg::heading().c_str(), stdout);
        for (const Leg* leg : {&read_, &copy_, &load_, &unload_, &write_})
            if (leg == &read_ || leg == &write_ || (leg == &copy_) != gpu_.has_value())
                std::fputs(leg->line().c_str(), stdout);
        std::printf("All %llu bytes of the second file were read back and are those of the first "
                    "(%s)\n",
                    static_cast<unsigned long long>(bytes_),
                    format_time(static_cast<double>(now_ns() - start_ns)).c_str());
        if (wish_.keep)
            second_.keep();
        const char* const way = !gpu_                  ? "host memory"
                                : load_.is_simulated() ? "a simulated GPU"
                                                       : "a GPU";
        std::printf("Done: moved %s from %s through %s into %s (%s), verified\n",
                    format_size(bytes_).c_str(), printable(wish_.file).c_str(), way,
                    printable(second_.path()).c_str(), wish_.keep ? "kept" : "removed now");
    }

  private:
    void announce() const {
        const std::uint64_t windows = (bytes_ + window_ - 1) / window_;
        std::printf("First file: %s, %s\nSecond file: %s\n", printable(wish_.file).c_str(),
                    format_size(bytes_).c_str(), printable(second_.path()).c_str());
        if (bytes_ == 0)
            std::puts("The file is empty: there is nothing to move");
        else
            std::printf("It goes through memory in %llu window%s of at most %s, so any size does\n",
                        static_cast<unsigned long long>(windows), windows == 1 ? "" : "s",
                        format_size(window_).c_str());
    }

    void move() {
        const Buffer file = Buffer::open_file(wish_.file, OpenMode::READ_ONLY, 0, bytes_, context_);
        const Buffer target =
            Buffer::open_file(second_.path(), OpenMode::READ_WRITE, 0, bytes_, context_);
        const Buffer first = wrap(first_), middle = wrap(middle_);
        const Buffer poison = wrap(poison_);
        std::memset(poison_.data(), POISON, window_);
        std::memset(spare_.data(), 0, window_);
        const std::uint64_t windows = (bytes_ + window_ - 1) / window_;
        const unsigned turns = windows <= 4 ? 7 : windows <= 16 ? 3 : 1;
        for (std::uint64_t at = 0; at < bytes_; at += window_) {
            const std::uint64_t bytes = std::min(window_, bytes_ - at);
            move_window(file, first, middle, poison, target, at, bytes, turns);
        }
        target.flush();
    }

    /// None where there is no GPU, or it has no room.
    std::optional<Buffer> make_on_gpu() const {
        if (get_device_count() == 0 || bytes_ == 0)
            return std::nullopt;
        try {
            return Buffer::allocate(window_, MemoryType::DEVICE, 0, context_);
        } catch (const NIXLException& error) {
            std::printf("Not through a GPU: %s\n", error.what());
            return std::nullopt;
        }
    }

    Buffer wrap(const Memory& memory) const {
        return Buffer::from_host(static_cast<void*>(memory.data()), window_,
                                 gpu_ ? MemoryType::HOST_PINNED : MemoryType::HOST, context_);
    }

    /// Every destination of nixl holds other bytes before, so that nothing old passes for moved.
    void move_window(const Buffer& file, const Buffer& first, const Buffer& middle,
                     const Buffer& poison, const Buffer& target, std::uint64_t at,
                     std::uint64_t bytes, unsigned turns) {
        const int from = first_file_.get(), to = second_file_.get();
        // Both ways read from the page cache and write to pages that are there.
        read_all(from, at, spare_.data(), bytes);
        write_all(to, at, poison_.data(), bytes);
        read_.move_window(
            file, at, first, 0, bytes, turns, crew_,
            [&](std::uint64_t offset, std::uint64_t count) {
                read_all(from, at + offset, spare_.data() + offset, count);
            },
            [&] { std::memset(first_.data(), POISON, bytes); });
        const auto spoil_middle = [&] { std::memset(middle_.data(), POISON, bytes); };
        if (gpu_) {
            load_.move_window(first, 0, *gpu_, 0, bytes, turns, crew_, nullptr,
                              [&] { (void)transfer(poison, *gpu_); });
            unload_.move_window(*gpu_, 0, middle, 0, bytes, turns, crew_, nullptr, spoil_middle);
        } else {
            copy_.move_window(
                first, 0, middle, 0, bytes, turns, crew_,
                [&](std::uint64_t offset, std::uint64_t count) {
                    std::memcpy(spare_.data() + offset, first_.data() + offset, count);
                },
                spoil_middle);
        }
        write_.move_window(
            middle, 0, target, at, bytes, turns, crew_,
            [&](std::uint64_t offset, std::uint64_t count) {
                write_all(to, at + offset, poison_.data() + offset, count);
            },
            [] {});
    }

    void verify() {
        if (file_bytes(first_file_, wish_.file) != bytes_)
            throw Failure(EXIT_ERROR, wish_.file + " changed its size meanwhile");
        for (std::uint64_t at = 0; at < bytes_; at += window_) {
            const std::uint64_t bytes = std::min(window_, bytes_ - at);
            read_all(first_file_.get(), at, first_.data(), bytes);
            read_all(second_file_.get(), at, middle_.data(), bytes);
            if (std::memcmp(first_.data(), middle_.data(), bytes) == 0)
                continue;
            const char* wrong =
                std::mismatch(first_.data(), first_.data() + bytes, middle_.data()).first;
            throw Failure(EXIT_ERROR,
                          "the second file differs at byte " +
                              std::to_string(at + std::uint64_t(wrong - first_.data())) +
                              "; did somebody write to the first one meanwhile?");
        }
        if (file_bytes(second_file_, second_.path()) != bytes_)
            throw Failure(EXIT_ERROR, "the second file has another size than the first");
    }

    const DemoWish& wish_;
    Descriptor first_file_;
    std::uint64_t bytes_, window_;
    Context context_; // before the second file: it may refuse to open, and the file may be large
    ScratchFile second_;
    Descriptor second_file_;
    Memory first_, middle_, spare_, poison_;
    Crew crew_;
    std::optional<Buffer> gpu_ = make_on_gpu(); // the machine's, or a simulated one
    Leg read_{"file -> host", "pread of 1 MB"}, copy_{"host -> host", "memcpy"},
        load_{"host -> GPU", ""}, unload_{"GPU -> host", ""},
        write_{"host -> file", "pwrite of 1 MB"};
};

} // namespace

void run_demo(const DemoWish& wish) { Demo(wish).run(); }

} // namespace nixl::tools
